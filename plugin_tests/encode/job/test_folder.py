"""A job's folder beside what others put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsdslnet.encode.job.folder import clear, locked, sweep
from vsdslnet.errors import OutputError


def test_folders_of_others_in_it_stop_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out.mkv.vsdslnet"
    (folder / "@eaDir" / "chunk").mkdir(parents=True)
    with locked(folder):
        for name in ("job.json", "chunk.hevc", ".a.partial"):
            (folder / name).write_bytes(b"")
        sweep(folder, everything=False)
        assert {path.name for path in folder.iterdir()} == {"@eaDir", "lock", "job.json", "chunk.hevc"}
        sweep(folder, everything=True)
        assert {path.name for path in folder.iterdir()} == {"@eaDir", "lock"}
        clear(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "out.mkv.vsdslnet").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"out\.mkv\.vsdslnet: is in the way"), locked(tmp_path / "out.mkv.vsdslnet"):
        pass
    assert (tmp_path / "out.mkv.vsdslnet").read_bytes() == b"mine"

"""A sequence of pictures: names, what is there already, and going on after a stop."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plugin_tests.encode.conftest import Command
from plugin_tests.encode.media import InProcessExecutor, make_clip
from vsdslnet.encode.delivery import Pictures
from vsdslnet.encode.picture_names import PictureNames
from vsdslnet.encode.run import Finished, encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import ArgumentError, OutputError

FRAMES = 28
PNG = EncodeSettings(codec="png", strength=0.0, chunk_frames=8)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("source") / "in.mkv", width=64, height=48, frames=FRAMES, vfr=True)


def encode(
    source: Path, output: Path, settings: EncodeSettings = PNG, *, limit: int | None = None, **options: Any
) -> tuple[Finished, list[int]]:
    """The result, and which chunks were made."""
    executor = InProcessExecutor(limit=limit)
    return encode_file(source, output, settings, executor=executor, **options), executor.made


def bytes_of(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, made without a stop."""
    folder = tmp_path_factory.mktemp("whole") / "made"
    done, made = encode(source, folder / "a_%04d.png")
    assert (done.frames, len(made)) == (FRAMES, 4)
    assert done.size_bytes == sum(path.stat().st_size for path in folder.glob("*.png"))
    assert done.dropped == [
        "sound stream 1 (aac, fra)",
        "times of the frames, which are not constant (a.hdr.json has them)",
    ]
    return folder


def test_every_frame_is_a_file_and_nothing_else_stays(whole: Path) -> None:
    assert sorted(path.name for path in whole.iterdir()) == [
        "a.hdr.json",
        *(f"a_{number:04d}.png" for number in range(1, FRAMES + 1)),
    ]
    said = json.loads((whole / "a.hdr.json").read_text(encoding="utf-8"))
    assert (said["frames"], said["first_number"], said["pictures"]) == (FRAMES, 1, "a_%04d.png")
    assert said["seconds"][:5] == pytest.approx(
        [0, 1 / 24, 2 / 24, 3.5 / 24, 4.5 / 24], abs=6e-4
    )  # Matroska rounds to milliseconds
    assert 0 < said["max_fall_nits"] < said["max_cll_nits"] <= 1000
    assert said["mastering_display"]["max_nits"] == 1000


def test_pictures_appear_as_they_are_made_and_each_is_looked_at_when_it_goes_on(
    source: Path, whole: Path, tmp_path: Path
) -> None:
    output = tmp_path / "made" / "a_%04d.png"
    with pytest.raises(KeyboardInterrupt):
        encode(source, output, limit=3)
    placed = sorted(output.parent.glob("*.png"))
    assert len(placed) == 21, "three chunks of seven"
    placed[9].write_bytes(placed[8].read_bytes())  # a picture of the second chunk
    placed[20].unlink()  # and one of the third
    _, made = encode(source, output)
    assert made == [1, 2, 3]
    assert bytes_of(output.parent) == bytes_of(whole)


def test_a_chunk_that_was_finished_and_not_yet_put_into_place_is_not_made_again(
    source: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "made" / "a_%04d.png"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Pictures, "take", _stopped)
        encode(source, output)
    assert not list(output.parent.glob("*.png"))
    _, made = encode(source, output)
    assert made == [1, 2, 3]
    assert bytes_of(output.parent) == bytes_of(whole)


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_is_there_is_not_touched_unasked(source: Path, whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "a_%04d.png"
    (tmp_path / "a_0005.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"a_0005\.png: is there already; name another folder or use --overwrite"):
        encode(source, output)
    (tmp_path / "a_0029.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"a_0029\.png: would be taken for one of the sequence's pictures 1-28"):
        encode(source, output, overwrite=True)
    assert bytes_of(tmp_path).keys() == {"a_0005.png", "a_0029.png"}
    (tmp_path / "a_0029.png").unlink()
    encode(source, output, overwrite=True)
    assert bytes_of(tmp_path) == bytes_of(whole)


def test_numbers_begin_where_they_are_told_to(source: Path, tmp_path: Path) -> None:
    settings = replace(PNG, start_number=1001)
    encode(source, tmp_path / "f.####.png", settings)
    assert sorted(path.name for path in tmp_path.glob("*.png"))[::27] == ["f.1001.png", "f.1028.png"]
    with pytest.raises(ArgumentError, match=r"a name with room for 1028; write g%04d\.png"):
        encode(source, tmp_path / "g%03d.png", settings)
    assert not list(tmp_path.glob("g*"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.png", r"a name with one %06d or ###### for the picture's number; write .*%06d\.png"),
        ("%04d_%04d.png", "a name with one %06d"),
        ("%06d.exr", r"a name ending in \.png"),
    ],
)
def test_a_name_that_can_be_none_is_refused(source: Path, tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        encode(source, tmp_path / "sub" / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_can_not_be_made_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is no directory and can't be made; make it first"):
        encode(source, tmp_path / "no" / "such" / "%06d.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("pattern", "names", "sidecar"),
    [
        ("%06d.exr", ("000007.exr", "1234567.exr"), "sequence.hdr.json"),
        ("s01_####.v2.exr", ("s01_0007.v2.exr", "s01_1234567.v2.exr"), "s01_.v2.hdr.json"),
        ("%d.png", ("7.png", "1234567.png"), "sequence.hdr.json"),
    ],
)
def test_patterns(pattern: str, names: tuple[str, str], sidecar: str, tmp_path: Path) -> None:
    pictures = PictureNames(tmp_path / pattern)
    assert (pictures.path(7).name, pictures.path(1234567).name) == names
    assert pictures.sidecar.name == sidecar
    pictures.path(7).touch()
    (tmp_path / "else.exr").touch()
    assert pictures.existing() == [7]


def test_the_command_makes_many_and_keeps_what_is_there(command: Command, tmp_path: Path) -> None:
    sources = [make_clip(tmp_path / f"{name}.mkv", width=64, height=48, frames=9) for name in "ab"]
    arguments = [
        "encode",
        *sources,
        "--output-dir",
        tmp_path / "out",
        "--codec",
        "exr",
        "--strength",
        0,
        "--workers",
        2,
    ]
    first = command(*arguments, "--json-lines")
    assert first.returncode == 0, first.stderr
    events = [json.loads(line) for line in first.stdout.splitlines()]
    assert [event["event"] for event in events if event["event"] in ("done", "summary")] == ["done", "done", "summary"]
    made = tmp_path / "out" / "b.hdr10"
    assert len(list(made.glob("*.exr"))) == 9
    before = bytes_of(made)
    (made / "000002.exr").touch()
    again = command(*arguments)
    assert again.returncode == 0, again.stderr
    assert "2 there already" in again.stderr
    assert bytes_of(made) == before


def test_streams_can_not_be_dropped_from_what_holds_none(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"drop=\[1\] is not allowed: only where the output is one file"):
        encode(source, tmp_path / "%06d.png", drop=[1])

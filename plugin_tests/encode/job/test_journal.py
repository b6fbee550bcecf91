"""The journal: what it remembers survives, what is untrue is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.journal import ChunkResult, Journal, file_sha256, write_durably
from vsdslnet.errors import JobError

CHUNKS = [Chunk(0, 0, 8), Chunk(1, 8, 16), Chunk(2, 16, 20)]


def finish(journal: Journal, index: int) -> ChunkResult:
    path = journal.chunk_path(index)
    path.write_bytes(b"stream %d" % index)
    result = ChunkResult(
        index=index,
        frames=8,
        size_bytes=path.stat().st_size,
        sha256=file_sha256(path),
        frames_sha256="0",
        max_nits=100.5,
        max_average_nits=20.25,
        seconds=1.0,
    )
    journal.record(result)
    return result


def test_what_is_recorded_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path, suffix="hevc")
    results = [finish(journal, index) for index in (2, 0)]
    journal.record_muxed(77)
    again = Journal(tmp_path, suffix="hevc")
    assert again.finished == {result.index: result for result in results}
    assert again.muxed is not None
    assert again.muxed.size_bytes == 77
    assert again.pending(CHUNKS) == [CHUNKS[1]]


def test_a_chunk_whose_file_is_gone_or_altered_is_pending(tmp_path: Path) -> None:
    journal = Journal(tmp_path, suffix="hevc")
    for index in range(3):
        finish(journal, index)
    journal.chunk_path(0).unlink()
    journal.chunk_path(2).write_bytes(b"stream 3")
    assert Journal(tmp_path, suffix="hevc").pending(CHUNKS) == [CHUNKS[0], CHUNKS[2]]


def test_a_damaged_journal_names_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b'{"type":"chunk"')
    with pytest.raises(JobError, match="--restart"):
        Journal(tmp_path, suffix="hevc")


def test_a_failed_write_leaves_the_old_contents(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    with pytest.raises(TypeError):
        write_durably(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"

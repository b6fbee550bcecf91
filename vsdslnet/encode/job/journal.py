"""The memory of an encode: what the job is, written once, and a journal of finished chunks that survives any crash.

Every write goes to a temporary file, is forced to the disk and renamed, so a reader meets the old state or
the new one, never a part.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.errors import JobError
from vsdslnet.hdr10plus.shot_light import ShotLight

__all__ = ["ChunkResult", "Journal", "file_sha256", "write_durably"]

JOURNAL_NAME = "journal.jsonl"


class ChunkResult(msgspec.Struct, frozen=True, kw_only=True, tag="chunk", forbid_unknown_fields=True):
    """A finished chunk.

    ``sha256``            of its file.
    ``frames_sha256``     of the frames that went into the encoder.
    ``max_nits``          brightest pixel; ``max_average_nits``: highest frame average.
    ``seconds``           it took, conversion and encoding together.
    ``pictures_sha256``   of each of its pictures, if they are files of their own in the end.
    ``shots``             light of its frames, shot by shot, if HDR10+ is made of it.
    """

    index: int
    frames: int
    size_bytes: int
    sha256: str
    frames_sha256: str
    max_nits: float
    max_average_nits: float
    seconds: float
    pictures_sha256: list[str] = []
    shots: list[ShotLight] = []


class Muxed(msgspec.Struct, frozen=True, kw_only=True, tag="muxed", forbid_unknown_fields=True):
    """The finished file, about to get its final name."""

    size_bytes: int


_Entry = ChunkResult | Muxed


class Journal:
    """``journal.jsonl`` in a job's folder, and the chunk files beside it."""

    def __init__(self, folder: Path, *, suffix: str) -> None:
        self.folder = folder
        self._path = folder / JOURNAL_NAME
        self._suffix = suffix
        self.muxed: Muxed | None = None
        self.finished: dict[int, ChunkResult] = {}
        for entry in self._read():
            if isinstance(entry, Muxed):
                self.muxed = entry
            else:
                self.finished[entry.index] = entry

    @staticmethod
    def begun(folder: Path) -> bool:
        """Whether anything was finished in a job's folder."""
        return (folder / JOURNAL_NAME).exists()

    def chunk_path(self, index: int) -> Path:
        """Where a finished chunk lies."""
        return chunk_path(self.folder, index, self._suffix)

    def pending(
        self, chunks: list[Chunk], *, delivered: Callable[[Chunk, ChunkResult], bool] | None = None
    ) -> list[Chunk]:
        """Chunks not finished yet; one whose file is missing or altered counts as not finished.

        Unless ``delivered`` says that its pictures lie where they belong already.
        """
        for chunk in chunks:
            result = self.finished.get(chunk.index)
            if result is None or self.holds(result) or (delivered is not None and delivered(chunk, result)):
                continue
            del self.finished[chunk.index]
        return [chunk for chunk in chunks if chunk.index not in self.finished]

    def holds(self, result: ChunkResult) -> bool:
        """Whether a chunk's file lies here as it was made."""
        path = self.chunk_path(result.index)
        return path.is_file() and file_sha256(path) == result.sha256

    def record(self, result: ChunkResult) -> None:
        """Remember a chunk whose file is in place; on return it survives a power cut."""
        self.finished[result.index] = result
        self._write()

    def record_muxed(self, size_bytes: int) -> None:
        """Remember that the final file is complete."""
        self.muxed = Muxed(size_bytes=size_bytes)
        self._write()

    def _read(self) -> list[_Entry]:
        if not self._path.exists():
            return []
        try:
            lines = self._path.read_bytes().splitlines()
            return [msgspec.json.decode(line, type=_Entry) for line in lines if line]
        except msgspec.MsgspecError as error:
            raise JobError(f"{self._path} is damaged ({error}); use --restart to start anew") from None

    def _write(self) -> None:
        entries: list[_Entry] = [self.finished[index] for index in sorted(self.finished)]
        if self.muxed is not None:
            entries.append(self.muxed)
        write_durably(self._path, b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))


def chunk_path(folder: Path, index: int, suffix: str) -> Path:
    """Name of a finished chunk's file."""
    return folder / f"chunk-{index:06d}.{suffix}"


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file's contents, whole or not at all, and force it to the disk."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def finish_durably(partial: Path, final: Path) -> None:
    """Force a written file to the disk and give it its final name."""
    with partial.open("r+b") as file:  # Windows flushes no file that is open for reading alone
        os.fsync(file.fileno())
    partial.replace(final)
    sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to the disk, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""A chunk's file on its way: frames are measured, hashed and encoded; it gets its name when it is whole."""

from __future__ import annotations

import errno
import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import vapoursynth as vs

from vsdslnet.encode.bitstream import av1, hevc
from vsdslnet.encode.bitstream.intra import read_pictures
from vsdslnet.encode.bitstream.packed import packed_pictures
from vsdslnet.encode.chunk.encoders import Picture, open_encoder
from vsdslnet.encode.chunk.light import add_to_shot, frame_light_nits
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import ChunkResult, chunk_path, file_sha256, finish_durably
from vsdslnet.errors import JobError
from vsdslnet.hdr10plus.shot_light import ShotMeter

__all__ = ["ChunkFile", "reason"]


class ChunkFile:
    """Takes a chunk's frames in order. End it with ``finish`` or ``abort``.

    ``finish`` may run on another thread, beside the next chunk's frames: an encoder looks ahead, and has
    dozens of frames still to encode when it is given the last. JobError if the encoder or the disk fails.
    """

    def __init__(self, job: Job, folder: Path, chunk: Chunk, picture: Picture) -> None:
        self._chunk, self._folder, self._suffix = chunk, folder, job.suffix
        self.index = chunk.index
        self._final = chunk_path(folder, chunk.index, job.suffix)
        self._partial = self._final.with_name(f".{self._final.name}.{uuid.uuid4().hex}.partial")
        self._started = time.monotonic()
        self._digest = hashlib.sha256()
        self.max_nits = self._max_average_nits = 0.0
        self._shots = job.identity.settings.hdr10plus
        self._cuts, self._next = frozenset(job.cuts), chunk.first
        self._meters: list[ShotMeter] = []
        try:
            with self._disk_errors_told():
                self._encoder = open_encoder(
                    job.encoder, job.identity.settings, picture=picture, frames=chunk.frames, path=self._partial
                )
        except BaseException:
            self._partial.unlink(missing_ok=True)
            raise

    def add(self, frame: vs.VideoFrame) -> None:
        """The next frame, of a clip ``with_light``."""
        max_nits, average_nits = frame_light_nits(frame)
        self.max_nits = max(self.max_nits, max_nits)
        self._max_average_nits = max(self._max_average_nits, average_nits)
        if self._shots:
            if not self._meters or self._next in self._cuts:
                self._meters.append(ShotMeter(self._next))
            add_to_shot(frame, self._meters[-1])
        self._next += 1
        for plane in range(3):
            self._digest.update(np.ascontiguousarray(np.asarray(frame[plane])).data)
        with self._disk_errors_told():
            self._encoder.feed(frame)

    def abort(self) -> None:
        """Leave nothing."""
        self._encoder.abort()
        self._partial.unlink(missing_ok=True)

    def finish(self) -> ChunkResult:
        """Encode what is left, check the file and give it its name."""
        try:
            with self._disk_errors_told():
                self._encoder.close()
                pictures_sha256 = self._check()
                result = ChunkResult(
                    index=self.index,
                    frames=self._chunk.frames,
                    size_bytes=self._partial.stat().st_size,
                    sha256=file_sha256(self._partial),
                    frames_sha256=self._digest.hexdigest(),
                    max_nits=self.max_nits,
                    max_average_nits=self._max_average_nits,
                    seconds=time.monotonic() - self._started,
                    pictures_sha256=pictures_sha256,
                    shots=[meter.light() for meter in self._meters],
                )
                finish_durably(self._partial, self._final)
        finally:
            self._partial.unlink(missing_ok=True)
        return result

    def _check(self) -> list[str]:
        """Count what the encoder wrote: a full disk or a dying program may go unnoticed otherwise.

        SHA-256 of each picture that is to be a file of its own.
        """
        digests: list[str] = []
        if self._suffix == "zip":
            digests = [hashlib.sha256(picture).hexdigest() for picture in packed_pictures(self._partial)]
            pictures = len(digests)
        elif self._suffix == "hevc":
            pictures = len(hevc.access_units(self._partial.read_bytes()))
        elif self._suffix == "obu":
            pictures = len(av1.temporal_units(self._partial.read_bytes()))
        else:
            pictures = sum(1 for _ in read_pictures(self._partial))
        if pictures != self._chunk.frames:
            raise JobError(
                f"{self._folder}: the encoder wrote {pictures} of {self._chunk.frames} frames; is the disk full? "
                "What is finished is kept: run this command again"
            )
        return digests

    @contextmanager
    def _disk_errors_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JobError(f"{self._folder}: can't write ({reason(error)})") from None


def reason(error: OSError) -> str:
    """Why the system refused, in words a person knows."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space is left"
    return error.strerror or str(error)

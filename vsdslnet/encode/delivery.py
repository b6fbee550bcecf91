"""What a job's chunks become: one file with everything that the source holds, or a folder of pictures."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import av

from vsdslnet.encode.bitstream.packed import packed_pictures
from vsdslnet.encode.container.mux import mux
from vsdslnet.encode.container.passage import lost_to_pictures
from vsdslnet.encode.container.rehearsal import rehearse
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import (
    ChunkResult,
    Journal,
    file_sha256,
    finish_durably,
    sync_folder,
    write_durably,
)
from vsdslnet.encode.picture_names import PictureNames
from vsdslnet.encode.prepare import hdr10plus_json
from vsdslnet.encode.source.tracks import open_tracks
from vsdslnet.errors import JobError
from vsdslnet.hdr10 import ContentLight, mastering_display

if TYPE_CHECKING:
    from vsdslnet.hdr10plus.programme import Programme

__all__ = ["Delivery", "OneFile", "Pictures", "delivery_of", "light_of"]


class Delivery(Protocol):
    """Takes finished chunks and leaves what was asked for."""

    def check(self, trial: bytes) -> list[str]:
        """Before any work, with the encoder's trial: what the output will lack. OutputError or ArgumentError."""

    def is_complete(self) -> bool:
        """Whether an earlier call was stopped between the output's last name and the clearing up."""

    def has(self, chunk: Chunk, result: ChunkResult) -> bool:
        """Whether all of a finished chunk lies in the output as it was made."""

    def take(self, chunk: Chunk, result: ChunkResult) -> None:
        """A chunk is finished; its file lies in the job's folder unless it was taken before."""

    def finish(self) -> None:
        """All chunks are finished: leave the output complete. JobError or OSError if it fails."""

    def size_bytes(self) -> int:
        """Of the complete output."""


def delivery_of(job: Job, journal: Journal, output: Path, drop: Collection[int]) -> Delivery:
    """The one that the job's codec asks for."""
    return Pictures(job, journal, output) if job.form.is_sequence else OneFile(job, journal, output, drop)


def light_of(journal: Journal) -> ContentLight:
    """The programme's light, once all chunks are finished."""
    results = journal.finished.values()
    return ContentLight.measured(
        max(result.max_nits for result in results), max(result.max_average_nits for result in results)
    )


class OneFile:
    """A file with the picture, and everything else that the source holds; see :class:`Delivery`."""

    def __init__(self, job: Job, journal: Journal, output: Path, drop: Collection[int]) -> None:
        self._job, self._journal, self._output, self._drop = job, journal, output, drop

    def check(self, trial: bytes) -> list[str]:
        """See :class:`Delivery`."""
        return rehearse(self._job, trial, output=self._output, drop=self._drop)

    def is_complete(self) -> bool:
        """See :class:`Delivery`."""
        return _is_written(self._journal, self._output)

    def has(self, chunk: Chunk, result: ChunkResult) -> bool:
        """See :class:`Delivery`; chunks stay in the job's folder until the end."""
        return False

    def take(self, chunk: Chunk, result: ChunkResult) -> None:
        """See :class:`Delivery`."""

    def finish(self) -> None:
        """See :class:`Delivery`."""
        job, folder = self._job, self._journal.folder
        # what the file says of it
        light = light_of(self._journal) if job.identity.settings.transfer == "pq" else None
        partial = folder / f".final.{os.getpid()}.partial"
        dynamic = self._dynamic()
        mux(job, folder, light, dynamic=dynamic, output=self._output, target=partial, drop=self._drop)
        self._check_written(partial, light)
        self._journal.record_muxed(partial.stat().st_size)
        if dynamic is not None:
            write_durably(hdr10plus_json(self._output), dynamic.json_text().encode())
        finish_durably(partial, self._output)

    def size_bytes(self) -> int:
        """See :class:`Delivery`."""
        return self._output.stat().st_size

    def _dynamic(self) -> Programme | None:
        """HDR10+ metadata, if it is asked for."""
        settings = self._job.identity.settings
        if not settings.hdr10plus:
            return None
        from vsdslnet.hdr10plus.programme import programme_of  # here, as it loads torch

        lights = [light for result in self._journal.finished.values() for light in result.shots]
        return programme_of(lights, self._job.cuts, frames=self._job.frames, target_nits=settings.hdr10plus_target)

    def _check_written(self, path: Path, light: ContentLight | None) -> None:
        """Read the finished file once more: all frames, and the light in its header."""
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            told = video.codec_context.coded_side_data.get("content_light_level", b"")
            # AVContentLightMetadata of FFmpeg
            wanted = struct.pack("=2I", light.max_cll_nits, light.max_fall_nits) if light else b""
            if bytes(told[:8]) != wanted:
                raise JobError("the finished file's header lacks the measured light; run the command again")
            frames = sum(1 for packet in container.demux(video) if packet.size)
            if frames != self._job.frames:
                raise JobError(f"the finished file holds {frames} of {self._job.frames} frames; run the command again")


class Pictures:
    """A file for every frame, put into place as chunks are finished, and a JSON beside them for what they can't say.

    See :class:`Delivery`.
    """

    def __init__(self, job: Job, journal: Journal, output: Path) -> None:
        self._job, self._journal, self._output = job, journal, output
        self._names = PictureNames(output)
        self._first = job.identity.settings.start_number

    def check(self, trial: bytes) -> list[str]:
        """See :class:`Delivery`. ArgumentError if the pattern has too few digits."""
        job = self._job
        self._names.check_numbers(self._first, self._first + job.frames)
        with open_tracks(job.source.beside) as media:
            lost = lost_to_pictures(media, main=job.source.track)
        if job.source.sample_aspect != (1, 1) and job.identity.settings.codec != "exr":
            lost.append("sample aspect ratio {}:{}".format(*job.source.sample_aspect))
        if job.source.display_matrix:
            lost.append("the picture's rotation")
        if not job.times_constant:
            lost.append(f"times of the frames, which are not constant ({self._names.sidecar.name} has them)")
        return lost

    def is_complete(self) -> bool:
        """See :class:`Delivery`."""
        return _is_written(self._journal, self._names.sidecar)

    def has(self, chunk: Chunk, result: ChunkResult) -> bool:
        """See :class:`Delivery`: every picture's bytes are looked at."""
        return all(
            path.is_file() and file_sha256(path) == sha256
            for path, sha256 in zip(self._paths(chunk), result.pictures_sha256, strict=True)
        )

    def take(self, chunk: Chunk, result: ChunkResult) -> None:
        """See :class:`Delivery`: put a chunk's pictures into place, and forget its file."""
        packed = self._journal.chunk_path(chunk.index)
        if self.has(chunk, result):
            packed.unlink(missing_ok=True)
            return
        for path, data, sha256 in zip(self._paths(chunk), packed_pictures(packed), result.pictures_sha256, strict=True):
            if hashlib.sha256(data).hexdigest() != sha256:
                raise JobError(f"{packed.name} is damaged; run the command again")
            partial = self._journal.folder / f".{path.name}.{os.getpid()}.partial"
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        sync_folder(self._names.folder)
        packed.unlink()

    def finish(self) -> None:
        """See :class:`Delivery`."""
        partial = self._journal.folder / f".final.{os.getpid()}.partial"
        partial.write_text(json.dumps(self._sidecar(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self._journal.record_muxed(partial.stat().st_size)
        finish_durably(partial, self._names.sidecar)

    def size_bytes(self) -> int:
        """See :class:`Delivery`."""
        return sum(path.stat().st_size for chunk in self._job.chunks for path in self._paths(chunk))

    def _paths(self, chunk: Chunk) -> list[Path]:
        return [self._names.path(self._first + frame) for frame in range(chunk.first, chunk.end)]

    def _sidecar(self) -> dict[str, object]:
        job = self._job
        settings, light, unit = job.identity.settings, light_of(self._journal), job.time_base
        said: dict[str, object] = {
            "source": Path(job.source.path).name,
            "pictures": self._output.name,
            "first_number": self._first,
            "frames": job.frames,
            "frame_rate": list(job.rate),
        }
        if not job.times_constant:
            said["seconds"] = [round((at - job.timestamps[0]) * unit[0] / unit[1], 6) for at in job.timestamps]
        if settings.codec == "exr":
            said |= {
                "transfer": "linear",
                "primaries": settings.exr_primaries,
                "white_luminance_nits": settings.exr_white_nits,
            }
        else:
            said |= {"transfer": settings.transfer, "primaries": "bt2020"}
        if settings.transfer == "pq":
            display = mastering_display(settings.peak_nits)
            said["mastering_display"] = {
                "red_green_blue_white_xy": display.chromaticities,
                "min_nits": display.min_nits,
                "max_nits": display.max_nits,
            }
            said |= {"max_cll_nits": light.max_cll_nits, "max_fall_nits": light.max_fall_nits}
        return said


def _is_written(journal: Journal, last: Path) -> bool:
    """Whether the file that a delivery writes last is there as its journal says."""
    return journal.muxed is not None and last.is_file() and last.stat().st_size == journal.muxed.size_bytes

"""The finished chunks as one stream of packets with the source's timestamps and the measured light."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from vsdslnet.encode.bitstream import av1, hevc
from vsdslnet.encode.bitstream.intra import pictures_of, read_pictures
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import chunk_path
from vsdslnet.errors import JobError
from vsdslnet.hdr10 import ContentLight

if TYPE_CHECKING:
    from vsdslnet.hdr10plus.programme import Programme

__all__ = ["PictureTimes", "VideoPacket", "VideoPackets", "elementary_to_packet", "with_light"]


@dataclass(frozen=True, kw_only=True)
class VideoPacket:
    """A coded picture as containers store it; times in units of the job's time base, from 0."""

    data: bytes
    pts: int
    dts: int
    duration: int
    is_keyframe: bool


@dataclass(frozen=True, kw_only=True)
class _Coded:
    data: bytes
    order: int
    is_keyframe: bool


class PictureTimes:
    """When a programme's pictures are shown and decoded, in units of the job's time base."""

    def __init__(self, job: Job) -> None:
        self._one_frame = max(1, round(1 / job.frame_rate / Fraction(*job.time_base)))
        self.pts = job.timestamps
        self.durations = [later - at for at, later in pairwise(self.pts)]
        usual = self.durations[-1] if self.durations else self._one_frame
        self.durations.append(job.last_ticks or usual)
        self.last_stays_longer = max(0, self.durations[-1] - usual)

    def dts(self, place: int) -> int:
        """Decoding times: the presentation times, late by the reordering; before the first, extrapolated."""
        return self.pts[place] if place >= 0 else self.pts[0] + place * self._one_frame


class VideoPackets:
    """Reads the chunks of a job one after the other."""

    def __init__(self, job: Job, folder: Path, light: ContentLight | None, dynamic: Programme | None = None) -> None:
        self._job, self._folder, self._light, self._dynamic = job, folder, light, dynamic
        self._hevc = job.suffix == "hevc"
        self._headers: tuple[bytes, ...] | None = None
        self._times = PictureTimes(job)

    def first_picture(self) -> bytes:
        """The first picture with its headers, as an elementary stream with the measured light."""
        first = self._job.chunks[0]
        if self._job.form.fourcc:
            return next(read_pictures(self._path(first)))
        return with_light(self._read(first), self._light, suffix=self._job.suffix)

    def __iter__(self) -> Iterator[VideoPacket]:
        """Packets in decoding order."""
        delay = self._reorder_delay()
        for chunk in self._job.chunks:
            for place, coded in enumerate(self._coded(chunk)):
                shown = chunk.first + coded.order
                yield VideoPacket(
                    data=coded.data,
                    pts=self._times.pts[shown],
                    dts=self._times.dts(chunk.first + place - delay),
                    duration=self._times.durations[shown],
                    is_keyframe=coded.is_keyframe,
                )

    def _reorder_delay(self) -> int:
        """Frames that a picture may be decoded before it is shown: the most over all chunks."""
        if not self._hevc:
            return 0
        return max(
            place - unit.order
            for chunk in self._job.chunks
            for place, unit in enumerate(hevc.access_units(self._read(chunk)))
        )

    def _coded(self, chunk: Chunk) -> Iterator[_Coded]:
        """The pictures of a chunk with the measured light in every sequence start, and HDR10+ in each of them."""
        if self._job.form.fourcc:  # whose light is the container's to say
            for order, picture in enumerate(read_pictures(self._path(chunk))):
                yield _Coded(data=picture, order=order, is_keyframe=True)
            return
        data = self._read(chunk)
        patched = 0
        if self._hevc:
            for unit in hevc.access_units(data):
                nals, count = self._lit(unit.nals)
                patched += count
                if unit.is_keyframe:
                    self._same_headers(unit.parameter_sets(), chunk)
                if self._dynamic is not None:
                    payload_t35 = self._dynamic.t35_payload(chunk.first + unit.order)
                    nals = hevc.insert_sei(nals, hevc.T35_SEI, payload_t35)
                new = replace(unit, nals=nals)
                yield _Coded(data=new.length_prefixed(), order=new.order, is_keyframe=new.is_keyframe)
        else:
            for order, unit_av1 in enumerate(av1.temporal_units(data)):
                new_unit, count = self._lit_av1(unit_av1)
                patched += count
                if self._dynamic is not None:
                    new_unit = av1.insert_t35(new_unit, self._dynamic.t35_payload(chunk.first + order))
                yield _Coded(data=new_unit, order=order, is_keyframe=av1.is_keyframe(unit_av1))
        if not patched and self._light is not None:
            raise JobError(f"chunk {chunk.index} carries no content light level: the encoder left it out")

    def _lit(self, nals: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], int]:
        return (nals, 0) if self._light is None else hevc.patch_content_light(nals, self._light.payload())

    def _lit_av1(self, unit: bytes) -> tuple[bytes, int]:
        return (unit, 0) if self._light is None else av1.patch_content_light(unit, self._light.payload())

    def _same_headers(self, headers: tuple[bytes, ...], chunk: Chunk) -> None:
        """One header in the container serves all chunks only if theirs are the same."""
        if self._headers is None:
            self._headers = headers
        elif self._headers != headers:
            raise JobError(f"chunk {chunk.index} has other stream headers than the first; use --restart")

    def _read(self, chunk: Chunk) -> bytes:
        return self._path(chunk).read_bytes()

    def _path(self, chunk: Chunk) -> Path:
        return chunk_path(self._folder, chunk.index, self._job.suffix)


_STANDING_ALONE = ("prores", "dnxhr")
_TEMPORAL_DELIMITER = b"\x12\x00"


def with_light(chunk: bytes, light: ContentLight | None, *, suffix: str) -> bytes:
    """A chunk's first picture with its headers, as an elementary stream that carries this light, if there is one.

    Pictures that stand alone carry none.
    """
    if suffix in _STANDING_ALONE:
        return next(pictures_of(io.BytesIO(chunk)))
    if suffix == "hevc":
        unit = hevc.access_units(chunk)[0]
        nals = unit.nals if light is None else hevc.patch_content_light(unit.nals, light.payload())[0]
        return replace(unit, nals=nals).annex_b()
    unit_av1 = av1.temporal_units(chunk)[0]
    return _TEMPORAL_DELIMITER + (unit_av1 if light is None else av1.patch_content_light(unit_av1, light.payload())[0])


def elementary_to_packet(picture: bytes, *, suffix: str) -> bytes:
    """One picture of :func:`with_light` as containers store it."""
    if suffix in _STANDING_ALONE:
        return picture
    if suffix == "hevc":
        return hevc.access_units(picture)[0].length_prefixed()
    return av1.temporal_units(picture)[0]

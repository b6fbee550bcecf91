"""Looks at a source file before any work: is it there, readable, SDR, progressive, and what does it hold."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec

from vsdslnet.encode.source.colour import HDR_CURE, container_tags, file_hdr_sign, first_tags, missing_in
from vsdslnet.errors import MediaError

__all__ = ["SourceIdentity", "SourceInfo", "identify", "open_media", "probe"]

# Enough frames to meet one with its own field flags; the planning pass looks at every frame.
_FRAMES_LOOKED_AT = 4
_NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS of FFmpeg
_SAMPLES, _SAMPLE_BYTES = 64, 65_536


class SourceIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What tells one state of a source file from another without reading all of it."""

    size_bytes: int
    modified_ns: int
    sample_sha256: str


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a source holds, as far as an encode needs it.

    ``track``              index of the video stream among all streams.
    ``frame_rate``         average frames a second, (numerator, denominator).
    ``sample_aspect``      sample aspect ratio, (1, 1) if unknown.
    ``display_matrix``     the nine numbers of a rotation or flip as MP4 stores them; empty if upright.
    ``start_seconds``      presentation time at which the file starts.
    ``is_rgb``             R'G'B' samples, which have no matrix.
    ``container_tags``     frame properties that the container has and the decoded frames lack.
    ``tags``               colour tags of the first frame, the container's among them, as frame properties.
    """

    path: str
    track: int
    width: int
    height: int
    frame_rate: tuple[int, int]
    sample_aspect: tuple[int, int]
    display_matrix: tuple[int, ...]
    duration_seconds: float | None
    start_seconds: float
    is_rgb: bool = False
    container_tags: dict[str, int] = {}
    tags: dict[str, int] = {}


def open_media(path: Path) -> av.container.InputContainer:
    """Open a file for reading; MediaError says in one line why it can't be."""
    if not path.exists():
        raise MediaError(f"{path}: there is no such file; check the path")
    if path.is_dir():
        raise MediaError(f"{path}: is a directory; name a video file in it")
    try:
        return av.open(str(path))
    except PermissionError:
        raise MediaError(f"{path}: may not be read; check its permissions") from None
    except (av.FFmpegError, OSError, ValueError):
        raise MediaError(f"{path}: is not a media file that can be read; check that it plays") from None


def main_video(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The first video stream that is not a cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None:
            return stream
    raise MediaError(f"{path}: has no video; name a file with a video stream")


def probe(path: Path, *, transfer_in: int | None = None) -> SourceInfo:
    """Open, decode a few frames, and say what is there; MediaError for anything that can't be converted.

    ``transfer_in``, where it is given, is what the user knows better than an HDR tag.
    """
    with open_media(path) as container:
        stream = main_video(container, path)
        declared = container_tags(stream)
        frames: list[av.VideoFrame] = []
        try:
            for frame in container.decode(stream):
                frames.append(frame)
                if len(frames) == _FRAMES_LOOKED_AT:
                    break
        except (av.FFmpegError, OSError):
            pass  # damage further on is the decoder's business; damage at once is below
        if not frames:
            raise MediaError(f"{path}: no video frame can be decoded; check that the file plays")
        sign = None if transfer_in is not None else file_hdr_sign(stream, declared, frames)
        if sign:
            raise MediaError(f"{path}: is HDR already ({sign}); {HDR_CURE}")
        if any(frame.interlaced_frame for frame in frames):
            raise MediaError(f"{path}: is interlaced; deinterlace it first (for example with QTGMC or bwdif)")
        rates = stream.average_rate, stream.guessed_rate
        if container.format.flags & _NO_TIMESTAMPS:
            rates = rates[::-1]  # an elementary stream's average is made up; what it says of itself is the guess
        rate = rates[0] or rates[1] or Fraction(25)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return SourceInfo(
            path=str(path.resolve()),
            track=stream.index,
            width=frames[0].width,
            height=frames[0].height,
            frame_rate=(rate.numerator, rate.denominator),
            sample_aspect=(aspect.numerator, aspect.denominator),
            display_matrix=_display_matrix(frames[0]),
            duration_seconds=None if container.duration is None else container.duration / av.time_base,
            start_seconds=(container.start_time or 0) / av.time_base,
            is_rgb=frames[0].format.is_rgb or frames[0].format.has_palette,
            container_tags=missing_in(frames, declared),
            tags=first_tags(frames, declared),
        )


def identify(path: Path) -> SourceIdentity:
    """Size, modification time and a hash over 64 blocks spread over the file."""
    try:
        stat = path.stat()
        digest = hashlib.sha256()
        with path.open("rb") as file:
            for sample in range(_SAMPLES):
                file.seek(max(0, stat.st_size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    except OSError as error:
        raise MediaError(f"{path}: can't be read ({error.strerror}); check its permissions") from None
    return SourceIdentity(size_bytes=stat.st_size, modified_ns=stat.st_mtime_ns, sample_sha256=digest.hexdigest())


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...]:
    side_data: Any = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return ()
    matrix = memoryview(bytes(side_data)).cast("i")
    return tuple(matrix) if len(matrix) == 9 else ()

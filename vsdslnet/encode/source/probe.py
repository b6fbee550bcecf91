"""Looks at a source file before any work: is it there, readable, SDR, progressive, and what does it hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec

from vsdslnet.encode.source.colour import (
    HDR_CURE,
    INTERLACED_CURE,
    container_fields,
    container_tags,
    file_hdr_sign,
    first_tags,
    missing_in,
)
from vsdslnet.encode.source.nature import hidden_pixels, left_out_by_nature, pixels_a_chroma_sample
from vsdslnet.encode.source.present import check_present
from vsdslnet.encode.source.script import ScriptCall
from vsdslnet.errors import MediaError
from vsdslnet.options import Deinterlace, FieldOrder

__all__ = [
    "ENDLESS_SECONDS",
    "SourceIdentity",
    "SourceInfo",
    "claimed_rates",
    "identify",
    "main_video",
    "open_media",
    "probe",
]

# Enough frames to meet one with its own field flags; the planning pass looks at every frame.
_FRAMES_LOOKED_AT = 4
_LEAST_BITS = 8  # of a sample, for BestSource
_SAMPLES, _SAMPLE_BYTES = 64, 65_536
# "Until the next one": the largest time that FFmpeg has for a subtitle, 32 bits of milliseconds.
ENDLESS_SECONDS = 0xFFFFFFFF // 1000


class SourceIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What tells one state of a source file from another: its bytes, not its name, place or date.

    ``sample_sha256``   over 64 blocks spread over the file, quick to read again.
    ``sha256``          over all of it, read again only when the date has changed.
    """

    size_bytes: int
    modified_ns: int
    sample_sha256: str
    sha256: str

    def is_of(self, path: Path) -> bool:
        """Whether a file has these bytes: known by size, date and samples, else by reading all of it."""
        size_bytes, modified_ns, sample_sha256 = _looked_at(path)
        if (size_bytes, sample_sha256) != (self.size_bytes, self.sample_sha256):
            return False
        return modified_ns == self.modified_ns or _sha256(path) == self.sha256


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a source holds, as far as an encode needs it.

    ``path``               a video file, or a script.
    ``call``               how the script is evaluated; None for a video file.
    ``tracks``             beside a script: the file that everything but the picture comes from.
    ``track``              index of the video stream among all streams of the file; None where there is none.
    ``claimed_rates``      frames a second, (numerator, denominator), that the file gives itself; the likeliest first.
    ``sample_aspect``      sample aspect ratio, (1, 1) if unknown.
    ``display_matrix``     the nine numbers of a rotation or flip as MP4 stores them; empty if upright.
    ``is_rgb``             R'G'B' samples, which have no matrix.
    ``chroma``             pixels across and down that share one chroma sample.
    ``crop``               pixels that the container hides at the left, right, top and bottom.
    ``cut``                pixels that the user wants away beside those, in the same order.
    ``known_colours``      what the user knows better than the tags, as Convert's arguments, where pixels are cut off.
    ``deinterlace``        how whole pictures are made of fields, ``field_order`` of which first.
    ``left_out``           what the picture has and an HDR10 file has not, in words.
    ``container_tags``     frame properties that the container has and the decoded frames lack.
    ``tags``               colour tags of the first frame, the container's among them, as frame properties.
    """

    path: str
    track: int | None
    width: int
    height: int
    claimed_rates: tuple[tuple[int, int], ...]
    sample_aspect: tuple[int, int]
    display_matrix: tuple[int, ...]
    duration_seconds: float | None
    is_rgb: bool = False
    crop: tuple[int, int, int, int] = (0, 0, 0, 0)
    left_out: tuple[str, ...] = ()
    container_tags: dict[str, int] = {}
    tags: dict[str, int] = {}
    chroma: tuple[int, int] = (1, 1)
    cut: tuple[int, int, int, int] = (0, 0, 0, 0)
    known_colours: dict[str, int] = {}
    deinterlace: Deinterlace | None = None
    field_order: FieldOrder = "auto"
    call: ScriptCall | None = None
    tracks: str | None = None

    @property
    def beside(self) -> str | None:
        """The file that sound, subtitles, chapters, attachments and tags come from, if there is one."""
        return self.path if self.call is None else self.tracks

    @property
    def frame_rate(self) -> Fraction:
        """What the file says, for want of all its timestamps."""
        return Fraction(*self.claimed_rates[0])

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) of the picture without what the container hides and what the user cuts off."""
        left, right, top, bottom = self.cut
        width, height = self.uncut_size
        return width - left - right, height - top - bottom

    @property
    def uncut_size(self) -> tuple[int, int]:
        """(width, height) of the picture without what the container hides: what players show."""
        left, right, top, bottom = self.crop
        return self.width - left - right, self.height - top - bottom


def open_media(path: Path) -> av.container.InputContainer:
    """Open a file for reading; MediaError says in one line why it can't be."""
    check_present(path, what="video file")
    try:
        # Absolute: what stands before a colon would be taken for a protocol.
        return av.open(str(path.absolute()))
    except PermissionError:
        raise MediaError(f"{path}: may not be read; check its permissions") from None
    except (av.FFmpegError, OSError, ValueError):
        raise MediaError(f"{path}: is not a media file that can be read; check that it plays") from None


def main_video(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The first video stream that is not a cover picture and that can be decoded; a film before a still picture.

    Animated AVIF has its first picture beside the film, some MP4 files have one that stands for it. Of a picture in
    tiles FFmpeg's libraries know the tiles alone (findings/ffmpeg-libraries-show-one-tile.sh).
    """
    kind = av.stream.Disposition
    pictures = [stream for stream in container.streams.video if not stream.disposition & kind.attached_pic]
    films = [stream for stream in pictures if not stream.disposition & kind.dependent]
    decodable = [stream for stream in films if stream.codec_context is not None]
    chosen = next((stream for stream in decodable if stream.frames != 1), decodable[0] if decodable else None)
    if len(films) < len(pictures) and (chosen is None or chosen.frames == 1):
        raise MediaError(
            f"{path}: is a picture in {len(pictures) - len(films)} tiles, which can't be decoded as one; convert it "
            "first (heif-convert, avifdec or ImageMagick, to PNG)"
        )
    if chosen is not None:
        return chosen
    if films:
        raise MediaError(
            f"{path}: the FFmpeg inside PyAV has no decoder for its video; convert it with a program that has one "
            "(for example to FFV1 in .mkv)"
        )
    raise MediaError(f"{path}: has no video; name a file with a video stream")


def probe(path: Path, *, transfer_in: int | None = None, interlaced: bool = False) -> SourceInfo:
    """Open, decode a few frames, and say what is there; MediaError for anything that can't be converted.

    ``transfer_in``, where it is given, is what the user knows better than an HDR tag; ``interlaced`` frames are
    allowed where they will be deinterlaced.
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
        _check_bits(path, frames[0].format)
        sign = None if transfer_in is not None else file_hdr_sign(stream, declared, frames)
        if sign:
            raise MediaError(f"{path}: is HDR already ({sign}); {HDR_CURE}")
        fields = container_fields(stream)
        if not interlaced and (fields or any(frame.interlaced_frame for frame in frames)):
            raise MediaError(f"{path}: is interlaced; deinterlace it: {INTERLACED_CURE}")
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return SourceInfo(
            path=str(path.resolve()),
            track=stream.index,
            width=frames[0].width,
            height=frames[0].height,
            claimed_rates=claimed_rates(stream),
            sample_aspect=(aspect.numerator, aspect.denominator),
            display_matrix=_display_matrix(frames[0]),
            duration_seconds=_duration_seconds(container),
            is_rgb=frames[0].format.is_rgb or frames[0].format.has_palette,
            crop=hidden_pixels(stream, frames[0]),
            left_out=left_out_by_nature(stream, frames),
            container_tags={**missing_in(frames, declared), **fields},
            tags=first_tags(frames, declared),
            chroma=pixels_a_chroma_sample(frames[0]),
        )


def claimed_rates(stream: Any) -> tuple[tuple[int, int], ...]:
    """The rate that fits the finest time between frames, the average of all, 25 if neither is known.

    An average is taken over gaps and a last frame that stays, too: it comes first only where the guess is far from it.
    """
    guessed, average = stream.guessed_rate, stream.average_rate
    rates = [guessed, average]
    if guessed and average and not 0.9 <= average / guessed <= 1.1:
        rates.reverse()
    return tuple((rate.numerator, rate.denominator) for rate in rates if rate) or ((25, 1),)


def identify(path: Path) -> SourceIdentity:
    """The identity of a file, all of which is read; MediaError if it can't be."""
    size_bytes, modified_ns, sample_sha256 = _looked_at(path)
    return SourceIdentity(
        size_bytes=size_bytes, modified_ns=modified_ns, sample_sha256=sample_sha256, sha256=_sha256(path)
    )


def _looked_at(path: Path) -> tuple[int, int, str]:
    """(bytes, date in ns, SHA-256 of samples) of a file."""
    with _readable(path):
        stat = path.stat()
        digest = hashlib.sha256()
        with path.open("rb") as file:
            for sample in range(_SAMPLES):
                file.seek(max(0, stat.st_size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
        return stat.st_size, stat.st_mtime_ns, digest.hexdigest()


def _sha256(path: Path) -> str:
    with _readable(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MediaError(f"{path}: can't be read ({error.strerror}); check its permissions") from None


def _check_bits(path: Path, pixels: av.VideoFormat) -> None:
    """MediaError for samples that BestSource does not take: black and white, RGB 5:6:5 and the like, Bayer."""
    bits = min(component.bits for component in pixels.components)
    if bits == 1 and len(pixels.components) == 1:
        raise MediaError(
            f"{path}: has pixels of one bit, which can't be decoded; make them grey "
            "(ffmpeg -i IN -pix_fmt gray OUT.png)"
        )
    if bits < _LEAST_BITS:
        raise MediaError(
            f"{path}: has {pixels.name} pixels, less than 8 bits a sample, which can't be decoded; convert it first "
            "(ffmpeg -i IN -map 0 -c copy -c:v ffv1 -pix_fmt gbrp OUT.mkv)"
        )


def _duration_seconds(container: av.container.InputContainer) -> float | None:
    """How long the file says that it lasts; None too where it counts a subtitle without an end."""
    if container.duration is None or container.duration >= ENDLESS_SECONDS * av.time_base:
        return None
    return container.duration / av.time_base


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...]:
    side_data: Any = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return ()
    matrix = memoryview(bytes(side_data)).cast("i")
    return tuple(matrix) if len(matrix) == 9 else ()

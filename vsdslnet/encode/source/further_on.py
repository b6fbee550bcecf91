"""What of a picture changes on the way, which a look at the first frames does not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsdslnet.encode.source.colour import HDR_CURE, INTERLACED_CURE, container_tags, file_hdr_sign
from vsdslnet.encode.source.places import frames_spread
from vsdslnet.encode.source.probe import SourceInfo, open_media
from vsdslnet.errors import MediaError
from vsdslnet.plugin.hdr_signs import first_integer

__all__ = ["AspectChanges", "changed", "look_further_on"]

# Enough to meet the second of two recordings, and few enough to be told at once.
_PLACES = 16


class AspectChanges:
    """The shapes that pixels have, told frame by frame; a file has one for all of them."""

    def __init__(self) -> None:
        self._found: list[tuple[int, Fraction]] = []

    def see(self, number: int, props: Mapping[str, Any]) -> None:
        """A frame and its properties; if they say no shape it is that of the one before, at first 1:1."""
        across, down = (first_integer(props, name) or 0 for name in ("_SARNum", "_SARDen"))
        before = self._found[-1][1] if self._found else Fraction(1)
        aspect = Fraction(across, down) if min(across, down) > 0 else before
        if not self._found or aspect != before:
            self._found.append((number, aspect))

    def left_out(self, timestamps: Sequence[int], time_base: Fraction) -> tuple[str, ...]:
        """What a file of one shape lacks, in words, by the times of the frames."""
        return tuple(
            _other_aspect(aspect, float((timestamps[number] - timestamps[0]) * time_base), self._found[0][1])
            for number, aspect in self._found[1:2]
        )


def look_further_on(info: SourceInfo, *, transfer_in: int | None = None) -> tuple[str, ...]:
    """What frames spread over a video file have and its HDR10 file will not, in words.

    MediaError if one of them shows that the file can't be converted. Changes between them are not met: an encode, which
    looks at every frame before it begins, may still refuse the file. Nothing of a script, or of a file that does not
    say how long it is.
    """
    if info.call is not None or info.track is None or not info.duration_seconds:
        return ()
    first: tuple[int, int, str] | None = None
    aspects, times = AspectChanges(), list[float]()
    with open_media(Path(info.path)) as media:
        stream: Any = media.streams[info.track]
        declared = container_tags(stream)
        for seconds, frame in frames_spread(media, stream, seconds=info.duration_seconds, places=_PLACES):
            now = frame.width, frame.height, frame.format.name.replace("yuvj", "yuv")
            first = first or now
            if now != first:
                raise MediaError(changed(info, first, now, f"before {seconds:.3f} s"))
            if frame.interlaced_frame and info.deinterlace is None:
                raise MediaError(f"{info.path}: is interlaced at {seconds:.3f} s; deinterlace it: {INTERLACED_CURE}")
            sign = None if transfer_in is not None else file_hdr_sign(stream, declared, [frame])
            if sign:
                raise MediaError(f"{info.path}: is HDR at {seconds:.3f} s ({sign}); {HDR_CURE}")
            told = stream.codec_context.sample_aspect_ratio or Fraction(0)
            aspects.see(len(times), {"_SARNum": told.numerator, "_SARDen": told.denominator})
            times.append(seconds)
    return aspects.left_out([round(at * 1000) for at in times], Fraction(1, 1000))


def changed(info: SourceInfo, first: tuple[int, int, str], now: tuple[int, int, str], when: str) -> str:
    """The words for a picture whose width, height or format becomes another, with the cure."""
    scaled = f"scale all of it (ffmpeg -vf scale={info.width}:{info.height})"
    cure = scaled if now[:2] != first[:2] else "make it constant (ffmpeg -pix_fmt yuv420p)"
    (width, height, name), (new_width, new_height, new_name) = first, now
    return (
        f"{info.path}: its picture changes {when} from {width}x{height} {name} to {new_width}x{new_height} {new_name}; "
        f"cut the file there, or {cure}"
    )


def _other_aspect(aspect: Fraction, seconds: float, first: Fraction) -> str:
    return (
        f"pixels of {aspect.numerator}:{aspect.denominator} from {seconds:.3f} s on (the file has "
        f"{first.numerator}:{first.denominator} throughout, and players show the rest out of shape; cut it there)"
    )

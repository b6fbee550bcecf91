"""The part of the picture that is converted: as asked for, or found between black bars."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from vsdslnet.encode.source.places import frames_spread
from vsdslnet.errors import ArgumentError, MediaError

__all__ = ["Edges", "asked_crop", "black_bars", "crop_text"]

# Frames looked at, evenly spread over the film: every 36 s of two hours.
_PLACES = 200
# Fewer pictures that are not dark all over tell nothing.
_LEAST_PICTURES = 8
# A line belongs to a bar while its mean is no lighter than black and this (of 255): bars have noise, and ringing beside
# the picture. A letter of a subtitle is lighter.
_NOISE_CODES = 6
# A frame whose 99th percentile is below this (of 255) is a fade, or night.
_LEAST_LIGHT = 40


class Edges(NamedTuple):
    """Pixels to take away on each side."""

    left: int
    right: int
    top: int
    bottom: int


def asked_crop(text: str, *, width: int, height: int, chroma: tuple[int, int]) -> Edges:
    """``W:H:X:Y`` within a picture of this size in pixels, whole chroma samples (pixels across and down) only.

    ArgumentError for a part that lies outside, or that would cut chroma samples apart.
    """
    w, h, x, y = map(int, text.split(":"))
    if not (w and h) or x + w > width or y + h > height:
        raise ArgumentError("crop", text, f"a part of the picture, which is {width}x{height}")
    across, down = chroma
    if w % across or x % across or h % down or y % down:
        nearest = crop_text(_whole(Edges(x, width - x - w, y, height - y - h), chroma), width=width, height=height)
        allowed = f"multiples of {across} for W and X and of {down} for H and Y, as chroma is subsampled so"
        raise ArgumentError("crop", text, allowed, f"{nearest} cuts off no more than this")
    return Edges(x, width - x - w, y, height - y - h)


def crop_text(edges: Edges, *, width: int, height: int) -> str:
    """``W:H:X:Y`` of what the edges leave."""
    left, right, top, bottom = edges
    return f"{width - left - right}:{height - top - bottom}:{left}:{top}"


def black_bars(path: Path, track: int, *, hidden: Edges, chroma: tuple[int, int], seconds: float | None) -> Edges:
    """The black bars that all of some frames, spread over ``seconds`` of a file, have in common; whole chroma samples.

    ``hidden`` is what the container hides of the decoded picture. Frames that are dark all over (fades, night, black)
    say nothing of bars, and are passed over. MediaError if too few others are met to be sure.
    """
    if not seconds:
        raise MediaError(f"{path}: does not say how long it is, so that frames could be looked at; say --crop W:H:X:Y")
    found: list[Edges] = []
    seen = 0
    for seen, luma in enumerate(_lumas(path, track, seconds), start=1):  # noqa: B007
        height, width = luma.shape
        shown = luma[hidden.top : height - hidden.bottom, hidden.left : width - hidden.right]
        if np.percentile(shown, 99) >= _LEAST_LIGHT:
            found.append(_bars(shown, _NOISE_CODES))
    if len(found) < _LEAST_PICTURES:
        raise MediaError(
            f"{path}: black bars can't be told from the picture, as {seen - len(found)} of {seen} frames looked at are "
            f"dark all over, and {_LEAST_PICTURES} others are needed; say what to keep: --crop W:H:X:Y"
        )
    return _whole(Edges(*(min(edges[side] for edges in found) for side in range(4))), chroma)


def _whole(edges: Edges, chroma: tuple[int, int]) -> Edges:
    """Down to whole chroma samples: nothing is cut off that should be seen."""
    across, down = chroma
    left, right, top, bottom = edges
    return Edges(left - left % across, right - right % across, top - top % down, bottom - bottom % down)


def _bars(luma: np.ndarray[Any, Any], limit: float) -> Edges:
    lines, columns = luma.mean(axis=1) > limit, luma.mean(axis=0) > limit
    rows, across = np.flatnonzero(lines), np.flatnonzero(columns)
    if not rows.size or not across.size:
        return Edges(0, 0, 0, 0)
    height, width = luma.shape
    return Edges(int(across[0]), int(width - 1 - across[-1]), int(rows[0]), int(height - 1 - rows[-1]))


def _lumas(path: Path, track: int, seconds: float) -> Iterator[np.ndarray[Any, Any]]:
    """Luma, 0 being black and 255 white, of frames spread over a file: key frames, or all of them where it is short."""
    with av.open(str(path.absolute())) as container:
        stream = next(other for other in container.streams.video if other.index == track)
        for _, frame in frames_spread(container, stream, seconds=seconds, places=_PLACES):
            # FFmpeg's grey is full range, whatever the frame's is.
            yield frame.reformat(format="gray").to_ndarray().astype(np.float32)

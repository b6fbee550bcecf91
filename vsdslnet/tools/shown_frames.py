"""A film opened for its preview, and its frames as a player shows them: upright, with square pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import vapoursynth as vs
from torch import Tensor

from vsdslnet.encode.place import check_place
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import Source, open_source, scene_cuts
from vsdslnet.encode.source.colour import check_frame
from vsdslnet.encode.source.given import Given
from vsdslnet.encode.source.look import look_at
from vsdslnet.encode.source.probe import SourceInfo
from vsdslnet.encode.source.times import frame_at
from vsdslnet.plugin.color_tags import ColorOverrides
from vsdslnet.plugin.hdr_signs import first_integer
from vsdslnet.plugin.sdr_rgb import tagged, to_sdr_rgb
from vsdslnet.views import upright

__all__ = ["AUTOMATIC_FRAMES", "Film", "Told", "hdr_as_shown", "open_film", "read_twice", "sdr_as_shown"]

AUTOMATIC_FRAMES = 4
"""Frames picked by themselves."""

_MAX_WIDTH_PX = 1280
"""Pictures on the page are no wider: they are inside it."""

# Cuts are looked for in clips of so many pixels: that means to decode them all, two seconds for these.
_SCANNED_PX = 500_000_000

Told = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is done, and how much of it there is."""


class Film(NamedTuple):
    """An opened source with its cuts marked (``cuts`` are the first frames of its shots; None if nobody looked for
    them), and the ``frames`` to show."""

    info: SourceInfo
    source: Source
    cuts: list[int] | None
    frames: list[int]


def open_film(given: Given, page: Path, settings: EncodeSettings, at_seconds: Sequence[float], told: Told) -> Film:
    """Open a film whose ``page`` is to be written, with the frames at those times, or some of its own choice.

    MediaError, ClipError or ArgumentError if that can't be; OutputError if the page could not be written.
    """
    info = look_at(given, settings)
    check_place(page, suffix=".html")
    opened = open_source(info)
    frames = [frame_at(opened, seconds) for seconds in at_seconds]
    opened, cuts = _scanned(info, opened, settings.part(ColorOverrides), told)
    return Film(info, opened, cuts, frames or _automatic(cuts, len(opened.clip)))


def _scanned(
    info: SourceInfo, source: Source, overrides: ColorOverrides, told: Told
) -> tuple[Source, list[int] | None]:
    """The source with its cuts marked, and the first frames of its shots; as it is, and None, if it is long.

    MediaError for frames that can't be converted.
    """
    clip = source.clip
    if clip.width * clip.height * clip.num_frames > _SCANNED_PX:
        return source, None
    found = scene_cuts(clip)
    cuts = []
    for number, frame in enumerate(found.frames(close=True)):
        told("looking for cuts", number, clip.num_frames)
        check_frame(info.path, number, frame.props, overrides, of_script=info.call is not None)
        if number == 0 or first_integer(frame.props, "_SceneChangePrev"):
            cuts.append(number)
    told("looking for cuts", clip.num_frames, clip.num_frames)
    return source._replace(clip=found), cuts


def _automatic(cuts: list[int] | None, frames: int) -> list[int]:
    """Middles of the longest shots, in order; evenly spread frames where there are too few shots, or none known."""
    ends = [*(cuts or [])[1:], frames]
    longest = sorted(zip(cuts or [0], ends, strict=True), key=lambda shot: shot[0] - shot[1])[:AUTOMATIC_FRAMES]
    if len(longest) < AUTOMATIC_FRAMES:
        return sorted({frames * (2 * part + 1) // (2 * AUTOMATIC_FRAMES) for part in range(AUTOMATIC_FRAMES)})
    return sorted((first + end) // 2 for first, end in longest)


def read_twice(hdr: vs.VideoNode) -> vs.VideoNode:
    """The clip with its last frame kept: it is asked for as shown and as delivered."""
    hdr.std.SetVideoCache(mode=1, fixedsize=1, maxsize=1)
    return hdr


def sdr_as_shown(film: Film, number: int, settings: EncodeSettings) -> Tensor:
    """A frame before: R'G'B' 0..1, (3, H, W) fp32."""
    clip = to_sdr_rgb(tagged(film.source.clip, settings.part(ColorOverrides)), **_size(film))
    return upright(_planes(clip, number), film.info.display_matrix)


def hdr_as_shown(film: Film, hdr: vs.VideoNode, number: int) -> Tensor:
    """A frame of the converted clip: PQ BT.2020 0..1, (3, H, W) fp32."""
    clip = hdr.resize.Bicubic(format=vs.RGBS, range_s="full", **_size(film))
    return upright(_planes(clip, number).clamp(0, 1), film.info.display_matrix)


def _size(film: Film) -> dict[str, int]:
    clip = film.source.clip
    scale = min(1.0, _MAX_WIDTH_PX / clip.width)
    width = round(clip.width * scale * Fraction(*film.info.sample_aspect))
    return {"width": max(1, width), "height": max(1, round(clip.height * scale))}


def _planes(clip: vs.VideoNode, number: int) -> Tensor:
    with clip.get_frame(number) as frame:
        return torch.from_numpy(np.stack([np.asarray(frame[plane]) for plane in range(3)]))

"""A clip's light over time for its preview: from the model's 3D LUTs, so that it costs seconds and not the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import vapoursynth as vs

from vsdslnet.encode.chunk.light import frame_light_nits, with_light
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import convert_alike, deliver
from vsdslnet.plugin.lut_keys import KEY_INTERVAL_FRAMES, keys_in_clip
from vsdslnet.plugin.scene import SceneCuts
from vsdslnet.weights import lut_of

__all__ = ["LightPoint", "light_curves", "light_points"]

POINTS = 24
MOST_LUTS = 12
"""LUTs a curve may need: half a second each on two cores."""


class LightPoint(NamedTuple):
    """A frame's light in cd/m²: its brightest pixel and its average (CTA-861.3 annex P)."""

    frame: int
    max_nits: float
    average_nits: float


def light_curves(
    clip: vs.VideoNode,
    versions: Sequence[EncodeSettings],
    cuts: list[int] | None,
    *,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[LightPoint]]:
    """The light of :func:`light_points` as each of these settings would deliver them, but through LUTs of their model.

    The settings differ in their looks alone and share their LUTs. ``cuts`` are the first frames of ``clip``'s shots,
    marked in its frames' properties, or None where nobody looked for them. ``told`` hears how many points are done, and
    of how many. vs.Error if a frame can't be had.
    """
    by_lut = [_by_lut(settings, cuts) for settings in versions]
    measured = [
        with_light(deliver(hdr, peak_nits=settings.peak_nits))
        for hdr, settings in zip(convert_alike(clip, by_lut), versions, strict=True)
    ]
    points = light_points(clip.num_frames, cuts)
    curves: list[list[LightPoint]] = [[] for _ in versions]
    for number, frame in enumerate(points):
        told(number, len(points))
        for curve, version in zip(curves, measured, strict=True):
            with version.get_frame(frame) as each:
                curve.append(LightPoint(frame, *frame_light_nits(each)))
    told(len(points), len(points))
    return curves


def _by_lut(settings: EncodeSettings, cuts: list[int] | None) -> EncodeSettings:
    model = lut_of(settings.model)
    # Looking for a cut means reading a whole key interval: where they are not known, that would be most of the time.
    scene_cuts = SceneCuts.NONE if cuts is None else SceneCuts.PROPS
    return replace(settings, model=model, scene_cuts=scene_cuts.value)


def light_points(frames: int, cuts: list[int] | None) -> list[int]:
    """Frames of a clip whose light is cheap to know: all of them together need no more than ``MOST_LUTS``.

    An even spread and every shot's first frame, if ``cuts`` are known and that few LUTs serve them; else key frames
    alone, evenly spread: each needs one LUT, its own.
    """
    if cuts is not None:
        points = sorted({frames * part // POINTS for part in range(POINTS)} | {frames - 1} | set(cuts))
        keys = {key.frame for point in points for key in keys_in_clip(point, cuts, frames)}
        if len(keys) <= MOST_LUTS:
            return points
    apart = range(0, frames, KEY_INTERVAL_FRAMES)
    return sorted({apart[part * (len(apart) - 1) // (MOST_LUTS - 1)] for part in range(MOST_LUTS)})

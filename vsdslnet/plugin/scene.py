"""Where a clip's scenes end: as its frames say, as a detection says, or nowhere."""

from __future__ import annotations

from enum import StrEnum
from typing import cast

import vapoursynth as vs
import vsutil

from vsdslnet.errors import ArgumentError

__all__ = ["SceneCuts", "with_scene_cuts"]


class SceneCuts(StrEnum):
    """Convert's ``scene_cuts``: which windows end at a cut."""

    PROPS = "props"
    """At ``_SceneChangePrev`` / ``_SceneChangeNext`` where the frames carry them."""
    DETECT = "detect"
    """At the cuts that the scenechange plugin finds; its findings replace those properties."""
    NONE = "none"
    """At no cut: windows run on, whatever the frames say."""


def with_scene_cuts(clip: vs.VideoNode, mode: SceneCuts) -> vs.VideoNode:
    """The clip with ``_SceneChangePrev`` and ``_SceneChangeNext`` as ``mode`` wants them."""
    if mode is not SceneCuts.DETECT:
        return clip
    if not hasattr(vs.core, "scd"):
        raise ArgumentError(
            "scene_cuts",
            str(mode),
            "props or none on this machine",
            "pip install vapoursynth-scenechange to detect cuts",
        )
    detected = vs.core.scd.Detect(_luma8(clip))
    return vs.core.std.CopyFrameProps(clip, detected, props=["_SceneChangePrev", "_SceneChangeNext"])


def _luma8(clip: vs.VideoNode) -> vs.VideoNode:
    """8-bit luma, which is what the detection reads."""
    if clip.format.color_family == vs.RGB:
        return clip.resize.Bilinear(format=vs.GRAY8, matrix=1, range=vs.RANGE_LIMITED)
    return cast(vs.VideoNode, vsutil.depth(vsutil.get_y(clip), 8, dither_type="none"))

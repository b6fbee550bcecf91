"""Small clips for the plugin's tests, made on the spot."""

from __future__ import annotations

from typing import Any

import numpy as np
import vapoursynth as vs

TAGS_709 = {"_Matrix": 1, "_Transfer": 1, "_Primaries": 1, "_Range": 0, "_ChromaLocation": 0}


def textured(core: Any, video_format: int, *, width: int = 32, height: int = 16, length: int = 6, **props: Any) -> Any:
    """A clip with a different texture on every frame: in-gamut RGB, 0.2 to 0.8, made into ``video_format``.

    It is tagged BT.709 as a whole; ``props`` are set on top (None deletes one).
    """
    blank = core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=length)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        rows, columns = np.mgrid[0:height, 0:width]
        for plane in range(3):
            wave = np.sin(columns / 5 + n) * np.cos(rows / 4 - n * (plane + 1) / 3)
            np.asarray(out[plane])[:] = 0.5 + 0.15 * wave + 0.1 * np.sin(rows / 9 + plane)
        return out

    rgb = core.std.ModifyFrame(blank, blank, fill)
    target = core.get_video_format(video_format)
    if target.color_family == vs.RGB:
        clip = rgb.resize.Bicubic(format=target.id).std.SetFrameProps(_Transfer=1, _Primaries=1)
    else:
        clip = rgb.resize.Bicubic(format=target.id, matrix=1, range=0).std.SetFrameProps(**TAGS_709)
    for name, value in props.items():
        clip = clip.std.RemoveFrameProps(name) if value is None else clip.std.SetFrameProps(**{name: value})
    return clip


def planes(frame: vs.VideoFrame) -> list[np.ndarray[Any, Any]]:
    """Copies of a frame's planes."""
    return [np.array(plane) for plane in frame]


def all_planes(clip: Any) -> list[list[np.ndarray[Any, Any]]]:
    """Copies of the planes of all frames, in order."""
    return [planes(frame) for frame in clip.frames(close=True)]


def same(left: list[np.ndarray[Any, Any]], right: list[np.ndarray[Any, Any]]) -> bool:
    """Whether two frames are equal to the bit."""
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def wild_values(core: Any) -> Any:
    """One RGBS frame of values that no picture has: outside 0..1, NaN, infinities."""
    blank = core.std.BlankClip(format=vs.RGBS, width=32, height=16, length=1)

    def wild(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane, values in enumerate([(1.3, 1, 0), (-0.2, 1, float("nan")), (float("inf"), 1, float("-inf"))]):
            np.asarray(out[plane])[:] = np.repeat([*values, 0.5], 8)
        return out

    return core.std.ModifyFrame(blank, blank, wild)

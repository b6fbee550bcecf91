"""Which frames a frame's LUT comes from: keys at fixed distances, none beyond a scene cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import vapoursynth as vs

from vsdslnet.plugin.hdr_signs import first_integer

__all__ = ["KEY_INTERVAL_FRAMES", "Key", "block_cuts", "cuts_in", "keys_in_clip", "keys_of"]

KEY_INTERVAL_FRAMES = 48
"""From one key frame to the next: two seconds, in which a preview makes up for the time a LUT takes."""

_CUT_PROPS = ("_SceneChangePrev", "_SceneChangeNext")
_CUTS = "cuts"
_KEPT_BLOCKS = 64


class Key(NamedTuple):
    """A frame that has a LUT, and its share."""

    frame: int
    weight: float


def keys_of(n: int, cuts: list[int]) -> list[Key]:
    """The one or two keys of frame n; shares move in straight lines, so that nothing jumps inside a scene.

    ``cuts`` are the first frames of scenes (and of what lies beyond the clip) from one multiple of the
    interval, exclusive, to the next, inclusive, around n. A scene between two multiples has its middle as
    its key, a scene with one of them that one.
    """
    left = n - n % KEY_INTERVAL_FRAMES
    right = left + KEY_INTERVAL_FRAMES
    before = [cut for cut in cuts if cut <= n]
    after = [cut for cut in cuts if cut > n]
    if before and after:
        return [Key((max(before) + min(after) - 1) // 2, 1.0)]
    if before:
        return [Key(right, 1.0)]
    share = (n - left) / KEY_INTERVAL_FRAMES
    if after or share == 0:
        return [Key(left, 1.0)]
    return [Key(left, 1 - share), Key(right, share)]


def keys_in_clip(n: int, cuts: Sequence[int], frames: int) -> list[Key]:
    """:func:`keys_of` frame n of a clip of so many ``frames``, all of whose ``cuts`` are known."""
    left = n - n % KEY_INTERVAL_FRAMES
    return keys_of(n, [cut for cut in (*cuts, frames) if left < cut <= left + KEY_INTERVAL_FRAMES])


def block_cuts(clip: vs.VideoNode, *, believe: bool) -> vs.VideoNode:
    """A clip of single pixels, as long as ``clip``, with the ``cuts`` around each frame (see :func:`cuts_in`).

    ``believe`` says whether the frames' scene change properties count. The frames between two multiples of
    the interval are asked for their properties once; pixels are not touched.
    """
    core, interval, length = vs.core, KEY_INTERVAL_FRAMES, clip.num_frames
    blocks = -(-length // interval)
    pixel = core.std.BlankClip(format=vs.GRAY8, width=1, height=1, length=length, keep=True)
    marks = pixel.std.CopyFrameProps(clip, props=list(_CUT_PROPS)) if believe else pixel
    marks += core.std.BlankClip(pixel, length=(blocks + 1) * interval - length, keep=True)

    def summed(n: int, f: Any) -> vs.VideoFrame:
        start = n * interval
        cuts = [start + k for k in range(1, interval + 1) if start + k == length or _is_cut(f[k - 1].props, f[k].props)]
        out: vs.VideoFrame = f[0].copy()
        out.props[_CUTS] = cuts
        return out

    columns = [marks[k:].std.SelectEvery(interval, 0)[:blocks] for k in range(interval + 1)]
    if not believe:
        columns = [columns[0]] * (interval + 1)
    sums = core.std.ModifyFrame(columns[0], columns, summed)
    sums.std.SetVideoCache(mode=1, fixedsize=1, maxsize=_KEPT_BLOCKS)
    return core.std.Interleave([sums] * interval, modify_duration=False)[:length]


def cuts_in(frame: vs.VideoFrame) -> list[int]:
    """The cuts that a frame of :func:`block_cuts` carries."""
    cuts: Any = frame.props.get(_CUTS, [])
    return [int(cut) for cut in ([cuts] if isinstance(cuts, int) else cuts)]


def _is_cut(left: vs.FrameProps, right: vs.FrameProps) -> bool:
    return bool(first_integer(left, _CUT_PROPS[1]) or first_integer(right, _CUT_PROPS[0]))

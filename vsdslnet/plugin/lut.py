"""``model="dslnet-lut"``: the network's colours, learnt at key frames, applied to whole frames as 3D LUTs.

All of it is graph, and the core's caches are the only memory, so that output stays a pure function:

    lattices  frame k carries the lattice of frame k, made when somebody asks for it (keys only)
    keys      frame n names its one or two keys: that follows from its number and the cuts around it
    frame n   through the LUTs of its keys, mixed by their shares (``core.dslnet.Lut``)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import vapoursynth as vs

from vsdslnet.color.h273 import Primaries, Transfer
from vsdslnet.errors import ClipError
from vsdslnet.options import ConvertOptions
from vsdslnet.plugin.frames import Selector, reporting, window_tensor
from vsdslnet.plugin.lut_keys import KEY_INTERVAL_FRAMES, block_cuts, cuts_in, keys_of
from vsdslnet.plugin.scene import SceneCuts
from vsdslnet.plugin.sdr_rgb import to_sdr_rgb

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["frame_lattice", "with_luts"]

_LATTICE, _KEYS, _SHARES = "DSLNetLattice", "DSLNetKeys", "DSLNetShares"
_KEPT_LUTS = 64
"""Two minutes of film, or 64 scenes, through which one can scrub without the network; 28 MiB."""


def with_luts(tagged: vs.VideoNode, settings: ConvertOptions, radius_frames: int, cuts: SceneCuts) -> vs.VideoNode:
    """A clip with complete colour tags and scene cuts -> R'G'B', PQ BT.2020, each frame with its light."""
    if not hasattr(vs.core.dslnet, "Lut"):
        raise ClipError("core.dslnet is older than this vsdslnet: install vsdslnet again")
    # Half the memory is half the time at 2160p; floats may hold what only RGBS carries as far as the LUT.
    sdr = to_sdr_rgb(tagged, format=vs.RGBS if tagged.format.sample_type == vs.FLOAT else vs.RGB48)
    lattices = _kept(_lattices(tagged, settings, radius_frames, cuts))
    hdr = vs.core.dslnet.Lut(sdr, keys=_keys(tagged, believe=cuts is not SceneCuts.NONE), lattices=lattices)
    return hdr.std.SetFrameProps(_Transfer=Transfer.PQ, _Primaries=Primaries.BT2020)


def _keys(tagged: vs.VideoNode, *, believe: bool) -> vs.VideoNode:
    """Single pixels whose properties name the keys of each frame, and their shares."""
    core = vs.core
    pixel = core.std.BlankClip(format=vs.GRAY8, width=1, height=1, length=tagged.num_frames, keep=True)

    def named(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        keys = keys_of(n, cuts_in(f))
        out = f.copy()
        out.props[_KEYS] = [key.frame for key in keys]
        out.props[_SHARES] = [key.weight for key in keys]
        return out

    between = core.std.ModifyFrame(pixel, block_cuts(tagged, believe=believe), named)
    # Those frames have one key whatever is cut around them: a clip's first frame need not wait for two seconds of it.
    at_keys = core.std.ModifyFrame(pixel, pixel, named)
    return core.std.FrameEval(
        pixel, lambda n: between if n % KEY_INTERVAL_FRAMES else at_keys, clip_src=[between, at_keys]
    )


def _kept(lattices: vs.VideoNode) -> vs.VideoNode:
    """Their properties on single pixels, many of which the core can keep."""
    pixel = vs.core.std.BlankClip(format=vs.GRAY8, width=1, height=1, length=lattices.num_frames, keep=True)
    kept = pixel.std.CopyFrameProps(lattices, props=[_LATTICE])
    kept.std.SetVideoCache(mode=1, fixedsize=1, maxsize=_KEPT_LUTS)
    return kept


def frame_lattice(
    tagged: vs.VideoNode, n: int, settings: ConvertOptions, radius_frames: int, cuts: SceneCuts
) -> Tensor:
    """The lattice (3, S, S, S) that :func:`with_luts` applies to frame n."""
    import torch

    lattices = _lattices(tagged, settings, radius_frames, cuts)
    with block_cuts(tagged, believe=cuts is not SceneCuts.NONE).get_frame(n) as frame:
        keys = keys_of(n, cuts_in(frame))
    total = None
    for key in keys:
        with lattices.get_frame(key.frame) as frame:
            part = key.weight * _lattice_of(frame.props[_LATTICE])
        total = part if total is None else total + part
    return torch.from_numpy(total)


def _lattices(tagged: vs.VideoNode, settings: ConvertOptions, radius_frames: int, cuts: SceneCuts) -> vs.VideoNode:
    """Small frames, each with the lattice of its window in a property."""
    from vsdslnet.inference.lut.key_size import small_size

    width, height = small_size(tagged.width, tagged.height)
    small = to_sdr_rgb(tagged, width=width, height=height)
    return vs.core.dslnet.Window(
        small, _lattice_selector(settings), radius=radius_frames, cuts=cuts is not SceneCuts.NONE
    )


def _lattice_selector(settings: ConvertOptions) -> Selector:
    def learn(frames: list[vs.VideoFrame]) -> vs.VideoFrame:
        from vsdslnet.inference.lut.distil import distil

        learnt = frames[len(frames) // 2].copy()
        learnt.props[_LATTICE] = distil(window_tensor(frames), settings).numpy().tobytes()
        return learnt

    return reporting(learn)


def _lattice_of(data: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    values = np.frombuffer(data, np.float32)
    side = round((values.size / 3) ** (1 / 3))
    return values.reshape(3, side, side, side)

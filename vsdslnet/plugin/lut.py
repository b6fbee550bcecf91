"""``model="dslnet-lut"``: the network's colours, learnt at key frames, applied to whole frames as 3D LUTs.

All of it is graph, and the core's caches are the only memory, so that output stays a pure function:

    lattices  frame k carries the lattice of frame k, made when somebody asks for it (keys only)
    cuts      says where the scenes around a frame end
    frame n   through the LUTs of its one or two keys, mixed by their shares
"""

from __future__ import annotations

from functools import lru_cache
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np
import vapoursynth as vs

from vsdslnet.color.h273 import Primaries, Transfer
from vsdslnet.errors import ArgumentError
from vsdslnet.options import ConvertOptions
from vsdslnet.plugin.frames import Selector, reporting, window_tensor
from vsdslnet.plugin.lut_keys import block_cuts, cuts_in, keys_of
from vsdslnet.plugin.scene import SceneCuts
from vsdslnet.plugin.sdr_rgb import to_sdr_rgb

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["frame_lattice", "with_luts"]

_LATTICE = "DSLNetLattice"
_LIGHT = "DSLNetLight"
_TETRAHEDRAL = 1
_KEPT_LUTS = 8
_KEPT_FRAMES = 6  # both of a frame's LUTs read it
# Light of each pixel's brightest channel (CTA-861.3 annex P) through ST 2084's EOTF.
_BRIGHTEST_NITS = (
    "x y max z max {peak} / 0 max 1 min 1 78.84375 / pow "
    "dup 0.8359375 - 0 max swap 18.6875 * 18.8515625 swap - / 1 0.1593017578125 / pow 10000 *"
)


def with_luts(tagged: vs.VideoNode, settings: ConvertOptions, radius_frames: int, cuts: SceneCuts) -> vs.VideoNode:
    """A clip with complete colour tags and scene cuts -> R'G'B', PQ BT.2020, each frame with its light."""
    core = vs.core
    if not hasattr(core, "timecube"):
        raise ArgumentError(
            "model", settings.model, "the model without -lut here", "pip install vapoursynth-timecube (macOS: build it)"
        )
    # Half the memory is half the time at 2160p; floats may hold what only RGBS carries as far as the LUT.
    sdr = to_sdr_rgb(tagged, format=vs.RGBS if tagged.format.sample_type == vs.FLOAT else vs.RGB48)
    sdr.std.SetVideoCache(mode=1, fixedsize=1, maxsize=_KEPT_FRAMES)
    lattices = _lattices(tagged, settings, radius_frames, cuts)

    @lru_cache(maxsize=_KEPT_LUTS)
    def through(key: int) -> vs.VideoNode:
        """Every frame through the LUT of one key; the LUT is made by the first frame that comes."""
        applied = lru_cache(maxsize=1)(lambda lattice: _cube(sdr, lattice))
        held = lattices[key].std.Loop(sdr.num_frames)
        return core.std.FrameEval(sdr, lambda n, f: applied(f.props[_LATTICE]), prop_src=held, clip_src=sdr)

    def mixed(n: int, f: vs.VideoFrame) -> vs.VideoNode:
        first, *second = keys_of(n, cuts_in(f))
        if not second:
            return through(first.frame)
        return core.std.Merge(through(first.frame), through(second[0].frame), second[0].weight)

    found = block_cuts(tagged, believe=cuts is not SceneCuts.NONE)
    hdr = core.std.FrameEval(sdr, mixed, prop_src=found, clip_src=sdr)
    return _with_light(hdr.std.SetFrameProps(_Transfer=Transfer.PQ, _Primaries=Primaries.BT2020))


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
    learnt = vs.core.dslnet.Window(
        small, _lattice_selector(settings), radius=radius_frames, cuts=cuts is not SceneCuts.NONE
    )
    learnt.std.SetVideoCache(mode=1, fixedsize=1, maxsize=_KEPT_LUTS)
    return learnt


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


def _cube(sdr: vs.VideoNode, lattice: bytes) -> vs.VideoNode:
    """A clip through a lattice; timecube reads LUTs from files only."""
    import torch

    from vsdslnet.inference.lut.cube_file import cube_text

    with NamedTemporaryFile("w", suffix=".cube", delete_on_close=False) as file:
        file.write(cube_text(torch.from_numpy(_lattice_of(lattice).copy()), title="dslnet"))
        file.close()
        return vs.core.timecube.Cube(sdr, cube=file.name, interp=_TETRAHEDRAL)


def _with_light(hdr: vs.VideoNode) -> vs.VideoNode:
    """The clip with DSLNetMaxNits and DSLNetAverageNits."""
    channels = [hdr.std.ShufflePlanes(plane, vs.GRAY) for plane in range(3)]
    peak = 1 if hdr.format.sample_type == vs.FLOAT else 65535
    light = vs.core.std.Expr(channels, _BRIGHTEST_NITS.format(peak=peak), vs.GRAYS).std.PlaneStats(prop=_LIGHT)
    measured = hdr.std.CopyFrameProps(light, props=[f"{_LIGHT}Max", f"{_LIGHT}Average"])

    def named(frames: list[vs.VideoFrame]) -> vs.VideoFrame:
        frame = frames[0].copy()
        frame.props["DSLNetMaxNits"] = frame.props.pop(f"{_LIGHT}Max")
        frame.props["DSLNetAverageNits"] = frame.props.pop(f"{_LIGHT}Average")
        return frame

    return vs.core.dslnet.Window(measured, reporting(named), radius=0)

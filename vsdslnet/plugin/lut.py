"""``model="dslnet-lut"``: the network's colours, learnt at key frames, applied to whole frames as 3D LUTs.

All of it is graph, and the core's caches are the only memory, so that output stays a pure function:

    lattices  frame k carries the network's lattice of frame k, made when somebody asks for it (keys only)
    looked    the same with a look; lattices are shared by all looks that are asked for together
    keys      frame n names its one or two keys: that follows from its number and the cuts around it
    frame n   through the LUTs of its keys, mixed by their shares (``core.dslnet.Lut``)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import vapoursynth as vs

from vsdslnet.color.h273 import Matrix, Primaries, Transfer
from vsdslnet.errors import ClipError
from vsdslnet.options import BackendOptions, ConvertOptions, LookOptions
from vsdslnet.plugin.frames import torch_selector, window_tensor
from vsdslnet.plugin.lut_keys import KEY_INTERVAL_FRAMES, block_cuts, cuts_in, keys_of
from vsdslnet.plugin.scene import SceneCuts
from vsdslnet.plugin.sdr_rgb import to_sdr_rgb, to_sdr_yuv
from vsdslnet.weights import find, read

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["frame_lattice", "with_luts"]

_LATTICE, _KEYS, _SHARES = "DSLNetLattice", "DSLNetKeys", "DSLNetShares"
_KEPT_LUTS = 64
"""Two minutes of film, or 64 scenes, through which one can scrub without the network; 28 MiB."""


def with_luts(
    tagged: vs.VideoNode,
    backend: BackendOptions,
    looks: Sequence[LookOptions],
    radius_frames: int,
    cuts: SceneCuts,
    *,
    yuv: bool,
) -> list[vs.VideoNode]:
    """A clip with complete colour tags and scene cuts -> with each look PQ BT.2020, each frame with its light.

    R'G'B'; or with ``yuv``, of a YUV clip of integers, YUV444P16, which is on its way to YUV of fewer bits a third
    less work. The network sees a key frame once, however many looks there are.
    """
    if not hasattr(vs.core.dslnet, "Lut"):
        raise ClipError("core.dslnet is older than this vsdslnet: install vsdslnet again")
    if yuv:
        sdr = to_sdr_yuv(tagged)
    else:
        # Half the memory is half the time at 2160p; floats may hold what only RGBS carries as far as the LUT.
        sdr = to_sdr_rgb(tagged, format=vs.RGBS if tagged.format.sample_type == vs.FLOAT else vs.RGB48)
    lattices = _lattices(tagged, backend, radius_frames, cuts)
    keys = _keys(tagged, believe=cuts is not SceneCuts.NONE)
    clips = [vs.core.dslnet.Lut(sdr, keys=keys, lattices=_looked(lattices, look)) for look in looks]
    tags: dict[str, int] = {"_Transfer": Transfer.PQ, "_Primaries": Primaries.BT2020}
    if yuv:
        tags["_Matrix"] = Matrix.BT2020_NCL
    return [hdr.std.SetFrameProps(**tags) for hdr in clips]


def _keys(tagged: vs.VideoNode, *, believe: bool) -> vs.VideoNode:
    """Single pixels whose properties name the keys of each frame, and their shares."""
    core = vs.core
    pixel = _pixels(tagged.num_frames)

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


def frame_lattice(
    tagged: vs.VideoNode, n: int, settings: ConvertOptions, radius_frames: int, cuts: SceneCuts
) -> Tensor:
    """The lattice (3, S, S, S) that :func:`with_luts` applies to frame n."""
    lattices = _looked(_lattices(tagged, settings.part(BackendOptions), radius_frames, cuts), settings)
    with block_cuts(tagged, believe=cuts is not SceneCuts.NONE).get_frame(n) as frame:
        keys = keys_of(n, cuts_in(frame))
    parts = []
    for key in keys:
        with lattices.get_frame(key.frame) as frame:
            parts.append(key.weight * _lattice_of(frame))
    return sum(parts[1:], parts[0])


def _lattices(tagged: vs.VideoNode, backend: BackendOptions, radius_frames: int, cuts: SceneCuts) -> vs.VideoNode:
    """Single pixels, each with the lattice of its frame's window in a property."""
    from vsdslnet.inference.lut.key_size import small_size

    width, height = small_size(tagged.width, tagged.height, scale=read(find(backend.model)).config.scale)
    small = to_sdr_rgb(tagged, width=width, height=height)

    def learn(frames: list[vs.VideoFrame]) -> vs.VideoFrame:
        from vsdslnet.inference.lut.distil import distil

        return _carrying(distil(window_tensor(frames), backend), frames[len(frames) // 2])

    return _kept(
        vs.core.dslnet.Window(small, torch_selector(learn), radius=radius_frames, cuts=cuts is not SceneCuts.NONE)
    )


def _looked(lattices: vs.VideoNode, look: LookOptions) -> vs.VideoNode:
    """The clip of :func:`_lattices` with a look in each."""

    def finish(frames: list[vs.VideoFrame]) -> vs.VideoFrame:
        import torch

        from vsdslnet.inference.cpu.lanes import on_backend_thread
        from vsdslnet.inference.lut.lattice import look_lattice, sdr_nodes

        network = torch.zeros_like(sdr_nodes()) if look.strength == 0 else _lattice_of(frames[0])
        # A look takes powers, whose last bits depend on how a plane is shared among threads.
        return _carrying(on_backend_thread(lambda: look_lattice(network, look)), frames[0])

    # Without strength nothing of the network is seen, and so nothing is asked of it.
    source = _pixels(lattices.num_frames) if look.strength == 0 else lattices
    return _kept(vs.core.dslnet.Window(source, torch_selector(finish), radius=0))


def _pixels(count: int) -> vs.VideoNode:
    return vs.core.std.BlankClip(format=vs.GRAY8, width=1, height=1, length=count, keep=True)


def _kept(lattices: vs.VideoNode) -> vs.VideoNode:
    """Their properties on single pixels, many of which the core can keep."""
    kept = _pixels(lattices.num_frames).std.CopyFrameProps(lattices, props=[_LATTICE])
    kept.std.SetVideoCache(mode=1, fixedsize=1, maxsize=_KEPT_LUTS)
    return kept


def _carrying(lattice: Tensor, frame: vs.VideoFrame) -> vs.VideoFrame:
    out = frame.copy()
    out.props[_LATTICE] = lattice.numpy().tobytes()
    return out


def _lattice_of(frame: vs.VideoFrame) -> Tensor:
    import torch

    data: Any = frame.props[_LATTICE]
    values = torch.from_numpy(np.frombuffer(data, np.float32).copy())
    side = round((values.numel() / 3) ** (1 / 3))
    return values.view(3, side, side, side)

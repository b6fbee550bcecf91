"""Motion compensation: each neighbour of a window, brought onto the centre frame before the network sees it.

LDOE sees motion of a pixel or two and errs by half of it, and a deformable convolution that starts elsewhere learns
nothing from its gradient. So, as video restoration has it since BasicVSR++ (Chan et al. 2022, flow-guided deformable
alignment), a classical estimate goes first and DMFA aligns what is left of the motion:

1. the camera's motion, affine, by robust direct registration from coarse to fine (Odobez and Bouthemy 1995);
2. from there the motion of each place (Lucas and Kanade 1981), held to the camera's where there is no texture;
3. none where the picture matches better as it stands: logos, bars, subtitles;
4. and where a neighbour still shows something else than noise explains (what was hidden, what moved too fast), the
   centre itself: a ghost is worse than noise.

Motion is looked for in luma without its local mean, so that fades and flicker are none. Sums over whole frames are
rounded: processors that add them up in another order mostly agree on the motion. A neighbour that equals the centre
stays as it is to the last bit.

What a processor does best and what a device does without asking back differ: see
:mod:`vsdslnet.network.motion.arithmetic`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.network.motion.arithmetic import DEVICE, HOST, Arithmetic
from vsdslnet.network.motion.estimate import estimated, others
from vsdslnet.network.side_by_side import Everywhere, each, on_this_thread

__all__ = ["compensate_", "compensate_on_device_", "compensated", "compensated_on_device"]


def compensate_(frames: Tensor, everywhere: Everywhere = on_this_thread) -> Tensor:
    """Bring the neighbours of frames (F, 3, H, W), R'G'B' 0..1, onto the centre, in place; returns their motion.

    The motion is :func:`motion_px`'s. Frames equal to the centre are not touched. Neighbours are worked on at the same
    time if ``everywhere`` has threads.
    """
    moved = others(frames)
    motion = estimated(frames, moved, HOST, everywhere)
    centre = frames[len(frames) // 2]

    def move(k: int) -> None:
        if bool(motion[k].any()):
            frames[k] = HOST.warped(frames[k : k + 1], motion[k : k + 1])[0]
        HOST.hold_(frames[k], centre)

    each(move, moved, everywhere)
    return motion


def compensate_on_device_(frames: Tensor, arithmetic: Arithmetic = DEVICE) -> None:
    """:func:`compensate_` by operations whose number and sizes do not depend on the picture.

    Frames (F, 3, H, W), R'G'B' 0..1. Nothing is copied to or from the host, so a CUDA graph can hold it. Where
    frames equal the centre they are worked on like others, and the result is not used.
    """
    middle = len(frames) // 2
    neighbours = [k for k in range(len(frames)) if k != middle]
    if not neighbours:
        return
    centre = frames[middle]
    motion = estimated(frames, neighbours, arithmetic, on_this_thread)
    for k in neighbours:
        differs = (frames[k] != centre).any()
        field = torch.where(differs, motion[k : k + 1], 0.0)
        # Where nothing moves, not even rounding does.
        frames[k] = torch.where((field != 0).any(), arithmetic.warped(frames[k : k + 1], field)[0], frames[k])
        arithmetic.hold_(frames[k], centre)


def compensated_on_device(frames: Tensor, arithmetic: Arithmetic = DEVICE) -> Tensor:
    """:func:`compensate_on_device_` on a copy."""
    out = frames.clone()
    compensate_on_device_(out, arithmetic)
    return out


def compensated(windows: Tensor) -> Tensor:
    """Windows (N, F, 3, H, W) as the network is to see them: a copy, each neighbour on its centre."""
    out = windows.clone()
    for frames in out:
        compensate_(frames)
    return out

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

What a processor does best and what a device does without asking back differ in three places, medians, sums of
products and small linear systems: see :mod:`vsdslnet.network.motion.arithmetic`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.network.motion.arithmetic import DEVICE, HOST, Arithmetic
from vsdslnet.network.motion.estimate import estimated, others
from vsdslnet.network.motion.fields import box, field_rows, sampled
from vsdslnet.network.side_by_side import Everywhere, each, on_this_thread

__all__ = ["compensate_", "compensated", "compensated_on_device"]

_OTHER_NOISE = 2.5
_LEAST_OTHER = 1.5 / 255
"""A neighbour's place is believed up to so many times the usual difference plus this, and not from twice that on."""
_MOST_NOISE = 6 / 255
_NOISE_STEP_PX = 3
_BAND_ROWS = 256


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
            frames[k] = _warped(frames[k : k + 1], motion[k : k + 1])[0]
        _hold_to_(frames[k], centre, HOST)

    each(move, moved, everywhere)
    return motion


def compensated_on_device(frames: Tensor) -> Tensor:
    """:func:`compensate_` as a copy, by operations whose number and sizes do not depend on the picture.

    Frames (F, 3, H, W), R'G'B' 0..1. Nothing is copied to or from the host, so a CUDA graph can hold it. Where
    frames equal the centre they are worked on like others, and the result is not used.
    """
    middle = len(frames) // 2
    neighbours = [k for k in range(len(frames)) if k != middle]
    out = frames.clone()
    if not neighbours:
        return out
    centre = frames[middle]
    motion = estimated(frames, neighbours, DEVICE, on_this_thread)
    for k in neighbours:
        differs = (frames[k] != centre).any()
        field = torch.where(differs, motion[k : k + 1], 0.0)
        out[k] = torch.where((field != 0).any(), _warped(frames[k : k + 1], field)[0], frames[k])
        _hold_to_(out[k], centre, DEVICE)
    return out


def compensated(windows: Tensor) -> Tensor:
    """Windows (N, F, 3, H, W) as the network is to see them: a copy, each neighbour on its centre."""
    out = windows.clone()
    for frames in out:
        compensate_(frames)
    return out


def _warped(frame: Tensor, field: Tensor) -> Tensor:
    """A frame (1, 3, H, W) moved back by a motion (1, 2, h, w) in px of it, in bands that bound the memory."""
    height, width = frame.shape[-2:]
    out = torch.empty_like(frame)
    for first, last in _bands(height):
        out[..., first:last, :] = sampled(frame, field_rows(field, first, last - first, height, width), first)
    return out


def _bands(height: int) -> list[tuple[int, int]]:
    """Rows from, and to, in which frames are gone through."""
    return [(first, min(first + _BAND_ROWS, height)) for first in range(0, height, _BAND_ROWS)]


def _hold_to_(frame: Tensor, centre: Tensor, arithmetic: Arithmetic) -> None:
    """Put the centre (3, H, W) in place of a frame where that still shows something else, softly and in place."""
    bands = _bands(frame.shape[-2])
    other = torch.cat([_otherness(frame, centre, *band) for band in bands])
    noise = arithmetic.median(other[::_NOISE_STEP_PX, ::_NOISE_STEP_PX].reshape(1, -1)).clamp(max=_MOST_NOISE)
    least = _OTHER_NOISE * noise + _LEAST_OTHER
    for first, last in bands:
        here = frame[:, first:last]
        here += (other[first:last] / least - 1).clamp(0, 1) * (centre[:, first:last] - here)


def _otherness(frame: Tensor, centre: Tensor, first: int, last: int) -> Tensor:
    """Rows of how far a frame (3, H, W) differs from the centre, noise averaged away: (rows, W)."""
    reach = 2  # of two boxes
    above = max(0, first - reach)
    difference = (frame[:, above : last + reach] - centre[:, above : last + reach])[None]
    # An object does not average away; the channel that shows it best tells.
    other = box(box(difference, 1).abs().amax(dim=1, keepdim=True), 1)[0, 0]
    return other[first - above : last - above]

"""Frames blended block by block: what a network that sees blocks of pixels can do for every pixel.

A few features a block can't carry the noise of each of its pixels, which is what a correction would have to take away.
What they can say is how far the other frames, brought onto the centre one, and what is smooth of it are to be believed
there: kernel prediction (Mildenhall et al. 2018) with one weight a frame, read bilinearly at every pixel. How large a
difference may be and still count as noise they say as well: what is beyond that is a frame that lies elsewhere.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from vsdslnet.network.window import black_gate

__all__ = ["blend_channels", "blended", "block_means"]

_TOLERANCE = 0.1
"""Difference of signals (0..1) of which half is believed, until a network says otherwise."""
_WIDEST = 4.0
"""Bound on the tolerance's logarithm."""


def blend_channels(frames: int) -> int:
    """What the head says of each block for ``frames`` frames: a weight of each, and the tolerance."""
    return frames + 1


def block_means(frame: Tensor, scale: int) -> Tensor:
    """A frame (N, 3, H, W) of whole blocks -> the mean of each (N, 3, h, w), fp32."""
    return F.avg_pool2d(frame.float(), scale)


def blended(said: Tensor, smooth: Tensor, frames: Tensor, *, anchor: float) -> Tensor:
    """The centre frame with a share of the others and of what is smooth of it: (N, 3, H, W), 0..1.

    ``said`` (N, 2T+2, H, W): weights, the centre's for ``smooth`` (N, 3, H, W), and behind them the logarithm of the
    tolerance, in units of ``_TOLERANCE``; ``frames`` (N, 2T+1, 3, H, W). Of a difference d to another frame counts
    d / (1 + (d / tolerance)^2), as the Cauchy (Lorentzian) estimator lets it count. Below ``anchor`` all of it fades,
    see :func:`~vsdslnet.network.window.black_gate`: black stays black.
    """
    radius = frames.shape[1] // 2
    centre = frames[:, radius].float()
    moved = said[:, radius, None] * (smooth - centre)
    sharpness = (said[:, -1:].clamp(-_WIDEST, _WIDEST).mul(-2)).exp() / _TOLERANCE**2
    for number in range(frames.shape[1]):
        if number != radius:
            apart = frames[:, number].float() - centre
            moved = moved + said[:, number, None] * (apart / (1 + sharpness * apart.square()))
    return (centre + black_gate(centre, anchor) * moved).clamp(0, 1)

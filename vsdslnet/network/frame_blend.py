"""Frames blended block by block: what a network that sees blocks of pixels can do for every pixel.

A few features a block can't carry the noise of each of its pixels, which is what a correction would have to take away.
What they can say is how far the other frames, brought onto the centre one, and what is smooth of it are to be believed
there: kernel prediction (Mildenhall et al. 2018) with one weight a frame, read bilinearly at every pixel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.network.window import black_gate

__all__ = ["blended", "block_means"]


def block_means(frame: Tensor, scale: int) -> Tensor:
    """A frame (N, 3, H, W) of whole blocks -> the mean of each (N, 3, h, w), fp32."""
    return F.avg_pool2d(frame.float(), scale)


def blended(weights: Tensor, smooth: Tensor, frames: Tensor, *, anchor: float) -> Tensor:
    """The centre frame with a share of the others and of what is smooth of it: (N, 3, H, W), 0..1.

    ``weights`` (N, 2T+1, H, W), the centre's for ``smooth`` (N, 3, H, W); ``frames`` (N, 2T+1, 3, H, W). Below
    ``anchor`` all of it fades, see :func:`~vsdslnet.network.window.black_gate`: black stays black.
    """
    radius = frames.shape[1] // 2
    centre = frames[:, radius].float()
    moved = torch.zeros_like(centre)
    for number, weight in enumerate(weights.unbind(1)):
        other = smooth if number == radius else frames[:, number].float()
        moved = torch.addcmul(moved, weight[:, None], other - centre)
    return (centre + black_gate(centre, anchor) * moved).clamp(0, 1)

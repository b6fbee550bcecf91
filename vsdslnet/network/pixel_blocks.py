"""Frames as blocks of pixels: what a network of ``scale`` s sees as one position is s x s pixels.

Pixels of a block become channels and back (pixel unshuffle and shuffle, Shi et al. 2016). Frames whose sides are no
multiples of s end in blocks filled up with their last row and column.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["block_count", "shuffled", "unshuffled", "whole_blocks"]


def block_count(pixels: int, scale: int) -> int:
    """Blocks that a side of so many pixels takes."""
    return -(-pixels // scale)


def whole_blocks(frames: Tensor, scale: int) -> Tensor:
    """Frames (N, ..., H, W) with H and W rounded up to multiples of ``scale``, their borders repeated."""
    height, width = frames.shape[-2:]
    down, across = -height % scale, -width % scale
    if not down and not across:
        return frames
    flat = frames.flatten(0, -4) if frames.dim() > 4 else frames
    padded = F.pad(flat, (0, across, 0, down), mode="replicate")
    return padded.view(*frames.shape[:-2], height + down, width + across)


def unshuffled(frames: Tensor, scale: int) -> Tensor:
    """Frames (N, C, H, W) of h x w whole blocks -> (N, C * s * s, h, w), a channel's pixels in reading order."""
    return frames if scale == 1 else F.pixel_unshuffle(frames, scale)


def shuffled(blocks: Tensor, scale: int) -> Tensor:
    """Blocks (N, C * s * s, h, w) -> frames (N, C, H, W); undoes :func:`unshuffled`."""
    return blocks if scale == 1 else F.pixel_shuffle(blocks, scale)

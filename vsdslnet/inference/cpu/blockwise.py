"""A large depthwise convolution as a dense one over 4x4 blocks of pixels.

A depthwise convolution has one product a value and a tap, so matrix instructions can't help it: in bf16 it
runs no faster than in fp32, and AVX2's sixteen registers hold too little of it. Gathered into blocks, the 16 pixels
of a channel are 16 channels in and 16 out of a grouped convolution with a fourth of the taps a side. That takes 400
products instead of 289 (for 17x17), at three times the speed in bf16 (Zen 4) and twice in fp32 with AVX2 (Zen 3). Of
other blocks, from 1x8 to 8x8, none is as fast.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["SIDE", "block_weight", "from_blocks", "in_blocks"]

SIDE = 4
"""Pixels along a block."""
_PIXELS = SIDE * SIDE


def block_weight(weight: Tensor) -> Tensor:
    """Depthwise weight (C, 1, k, k) -> the grouped weight (C * 16, 16, b, b) of the same map on blocks.

    k // 2 has to be a multiple of 4, so that blocks of the output lie over blocks of the input.
    """
    channels, _, kernel, _ = weight.shape
    blocks = 2 * (kernel // 2 // SIDE) + 1
    # Output pixel o of a block sees input pixel i of the block b further on through tap 4 b + i - o.
    out, block, pixel = (torch.arange(count) for count in (SIDE, blocks, SIDE))
    tap = SIDE * block[None, None, :] + pixel[None, :, None] - out[:, None, None]
    inside = (tap >= 0) & (tap < kernel)
    tap = tap.clamp(0, kernel - 1)
    rows, columns = tap[:, None, :, None, :, None], tap[None, :, None, :, None, :]
    mask = inside[:, None, :, None, :, None] & inside[None, :, None, :, None, :]
    full = weight.cpu()[:, 0][:, rows, columns] * mask
    return full.reshape(channels * _PIXELS, _PIXELS, blocks, blocks).to(weight.device)


def in_blocks(x: Tensor, dtype: torch.dtype, *, relu: bool = False) -> Tensor:
    """Rows (1, C, n, W) in channels-last -> blocks (1, C * 16, ceil(n / 4), ceil(W / 4)), of ``dtype``.

    Zeros fill blocks up; a ReLU may come before.
    """
    _, channels, height, width = x.shape
    down, across = -height % SIDE, -width % SIDE
    if down or across:
        x = F.pad(x, (0, across, 0, down)).contiguous(memory_format=torch.channels_last)
    tall, wide = (height + down) // SIDE, (width + across) // SIDE
    pixels = x.permute(0, 2, 3, 1).reshape(tall, SIDE, wide, SIDE, channels).permute(0, 2, 1, 3, 4)
    # In two steps, blocks together and then pixels innermost: one step would be four times as slow.
    together = torch.empty(pixels.shape, dtype=dtype, device=x.device).copy_(pixels)
    if relu:
        together.relu_()
    gathered = together.view(-1, _PIXELS, channels).transpose(1, 2).contiguous()
    return gathered.view(1, tall, wide, channels * _PIXELS).permute(0, 3, 1, 2)


def from_blocks(blocks: Tensor, rows: int, columns: int) -> Tensor:
    """Blocks (1, C * 16, h, w) -> the first ``rows`` and ``columns`` of their pixels, (1, C, rows, columns)."""
    return F.pixel_shuffle(blocks, SIDE)[..., :rows, :columns]

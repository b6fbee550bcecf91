"""A depthwise convolution over blocks of pixels is the depthwise convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vsdslnet.inference.cpu.blockwise import SIDE, block_weight, from_blocks, in_blocks


@pytest.mark.parametrize("kernel", [9, 17])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (8, 12), (13, 5)], ids=str)
def test_equals_the_depthwise_convolution(kernel: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    channels, radius = 3, kernel // 2
    x = torch.randn(1, channels, size[0] + 2 * radius, size[1]).to(memory_format=torch.channels_last)
    weight, bias = torch.randn(channels, 1, kernel, kernel), torch.randn(channels)
    expected = F.conv2d(x, weight, bias, padding=(0, radius), groups=channels)
    blocks = in_blocks(x, torch.float32)
    padding, bias = (0, radius // SIDE), bias.repeat_interleave(SIDE * SIDE)
    result = from_blocks(F.conv2d(blocks, block_weight(weight), bias, padding=padding, groups=channels), *size)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)


def test_blocks_hold_every_pixel_once_and_zeros_beyond() -> None:
    x = torch.randn(1, 2, 6, 9).to(memory_format=torch.channels_last)
    blocks = in_blocks(x, torch.float32)
    assert blocks.shape == (1, 2 * SIDE * SIDE, 2, 3)
    assert torch.equal(from_blocks(blocks, 8, 12), F.pad(x, (0, 3, 0, 2)))
    assert torch.equal(from_blocks(in_blocks(x, torch.float32, relu=True), 6, 9), x.relu())

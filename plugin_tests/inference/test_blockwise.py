"""A depthwise convolution over blocks of pixels is the depthwise convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vsdslnet.inference.blockwise import block_weight, depthwise_in_blocks


@pytest.mark.parametrize("kernel", [9, 17])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (8, 12), (13, 5)], ids=str)
def test_equals_the_depthwise_convolution(kernel: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    channels, radius = 3, kernel // 2
    x = torch.randn(1, channels, size[0] + 2 * radius, size[1]).to(memory_format=torch.channels_last)
    weight, bias = torch.randn(channels, 1, kernel, kernel), torch.randn(channels)
    expected = F.conv2d(x, weight, bias, padding=(0, radius), groups=channels)
    result = depthwise_in_blocks(x, block_weight(weight), bias.repeat_interleave(16), radius)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)

"""ResNet (1.37M) and the multi-frame MResnet (1.38M): HDRTVNet's SRResNet for inverse tone mapping."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vsdslnet.network.blocks import PlainBlock
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.window import Box, WindowNetwork, start_at_base

__all__ = ["MultiFrameResNet", "ResNet", "SRResNet"]

_FEATURES, _BLOCKS = 64, 16


class SRResNet(nn.Module):
    """Chen et al. 2021's base network: stride-2 3x3, 16 blocks without norm, pixel shuffle, two 3x3.

    Blocks start at a tenth of their usual size, as there.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        c = _FEATURES
        self.first = nn.Conv2d(inputs, c, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(PlainBlock(c) for _ in range(_BLOCKS)))
        self.up = nn.Conv2d(c, 4 * c, 3, padding=1)
        self.conv = nn.Conv2d(c, c, 3, padding=1)
        self.last = nn.Conv2d(c, 3, 3, padding=1)
        with torch.no_grad():
            for parameter in self.blocks.parameters():
                parameter.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 3, H, W), any size."""
        y = self.blocks(torch.relu(self.first(x)))
        y = torch.relu(nn.functional.pixel_shuffle(self.up(y), 2))[..., : x.shape[-2], : x.shape[-1]]
        out: Tensor = self.last(torch.relu(self.conv(y)))
        return out


class ResNet(WindowNetwork):
    """Table 1's ResNet: 1,369,859 parameters on the centre frame."""

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__(config)
        self.body = SRResNet(3)
        start_at_base(config, self.body.last)

    def correction(self, window: Tensor, conditions: Any, boxes: list[Box] | None) -> Tensor:
        """See :meth:`WindowNetwork.correction`."""
        out: Tensor = self.body(self.centre(window))
        return out


class MultiFrameResNet(WindowNetwork):
    """Table 3's MResnet: the same with all frames stacked at its input; 1,376,771 parameters for T=2."""

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__(config)
        self.body = SRResNet(3 * config.frames)
        start_at_base(config, self.body.last)

    def correction(self, window: Tensor, conditions: Any, boxes: list[Box] | None) -> Tensor:
        """See :meth:`WindowNetwork.correction`."""
        out: Tensor = self.body(window.flatten(1, 2))
        return out

"""CSRNet (He et al. 2020, "Conditional Sequential Modulation"): 36,489 parameters."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.window import Box, WindowNetwork, start_at_base

__all__ = ["CSRNet", "SequentialModulation"]


class SequentialModulation(nn.Module):
    """Three 1x1 convs 3-64-64-3, each followed by GFM: ``y * scale + shift + y``, ReLU between them.

    Scale and shift are linear in one condition vector a picture. HDRTVNet's AGCM shares it.
    """

    def __init__(self, condition: int, features: int = 64) -> None:
        super().__init__()
        widths = (3, features, features, 3)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
        self.scales = nn.ModuleList(nn.Linear(condition, b) for b in widths[1:])
        self.shifts = nn.ModuleList(nn.Linear(condition, b) for b in widths[1:])

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """Picture (N, 3, H, W) and its vector (N, K) -> (N, 3, H, W)."""
        for index, (conv, scale, shift) in enumerate(zip(self.convs, self.scales, self.shifts, strict=True)):
            x = conv(torch.relu(x) if index else x)
            x = x * (1 + scale(vector)[..., None, None]) + shift(vector)[..., None, None]
        return x


class CSRNet(WindowNetwork):
    """A condition network (7x7, 3x3, 3x3, each stride 2, mean) that modulates three 1x1 convs."""

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__(config)
        self.condition = nn.Sequential(
            nn.Conv2d(3, 32, 7, stride=2, padding=3),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.body = SequentialModulation(32)
        start_at_base(config, self.body.convs[-1], self.body.shifts[-1])  # type: ignore[arg-type]

    def shared_conditions(self, whole: Tensor) -> Tensor:
        """The condition vector (N, 32) of whole frames."""
        vector: Tensor = self.condition(self.centre(whole)).mean(dim=(-2, -1))
        return vector

    def correction(self, window: Tensor, conditions: Any, boxes: list[Box] | None) -> Tensor:
        """See :meth:`WindowNetwork.correction`."""
        out: Tensor = self.body(self.centre(window), conditions)
        return out

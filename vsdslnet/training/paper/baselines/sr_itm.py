"""Deep SR-ITM (Kim et al. 2019) without up-scaling: 2,871,875 parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.window import Box, WindowNetwork, start_at_base

__all__ = ["DeepSRITM", "guided_base"]

_FEATURES = 64
_RADIUS_PX = 5
_EPSILON = 0.01


class _ModulatedBlock(nn.Module):
    """Residual block whose residual is multiplied by a map; ``skip`` takes the other pass's features in."""

    def __init__(self, *, skip: bool) -> None:
        super().__init__()
        c = _FEATURES
        self.reduce = nn.Conv2d(2 * c, c, 1) if skip else None
        self.convs = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1))
        self.map = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1))

    def forward(self, x: Tensor, shared: Tensor, other: Tensor | None = None) -> Tensor:
        """x, shared features and the other pass (all (N, C, h, w)) -> (N, C, h, w)."""
        if self.reduce is not None and other is not None:
            y = self.convs(self.reduce(torch.relu(torch.cat([x, other], dim=1))))
        else:
            y = self.convs(torch.relu(x))
        out: Tensor = x + y * self.map(shared)
        return out


class _Block(nn.Module):
    """Pre-activation residual block."""

    def __init__(self) -> None:
        super().__init__()
        c = _FEATURES
        self.convs = nn.Sequential(nn.ReLU(), nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same shape."""
        y: Tensor = x + self.convs(x)
        return y


class DeepSRITM(WindowNetwork):
    """Base and detail passes, modulated by maps shared in each, and ten fusing blocks.

    The picture and its guided-filtered base go into one pass, picture and detail (picture / base) into
    the other. For equal input and output size HDRTVNet's authors start with stride 2 and keep the pixel
    shuffle; so here. The layers their count implies are not published: the original's blocks (half of
    them modulated) give 2.50M; with all 11 modulated it is 2,871,875, the 2.87M of table 1.
    """

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__(config)
        c = _FEATURES
        self.base_in = nn.Conv2d(6, c, 3, stride=2, padding=1)
        self.detail_in = nn.Conv2d(6, c, 3, stride=2, padding=1)
        self.base_shared = _shared()
        self.detail_shared = _shared()
        self.detail_first = _Block()
        self.base_blocks = nn.ModuleList(_ModulatedBlock(skip=False) for _ in range(6))
        self.detail_blocks = nn.ModuleList(_ModulatedBlock(skip=True) for _ in range(5))
        self.fuse = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(2 * c, c, 1),
            nn.Conv2d(c, c, 3, padding=1),
            *(_Block() for _ in range(10)),
            nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c, 4 * c, 3, padding=1),
            nn.ReLU(),
            nn.PixelShuffle(2),
        )
        self.last = nn.Conv2d(c, 3, 3, padding=1)
        start_at_base(config, self.last)

    def correction(self, window: Tensor, conditions: Any, boxes: list[Box] | None) -> Tensor:
        """See :meth:`WindowNetwork.correction`; without a base the SDR picture itself is added, as there."""
        sdr = self.centre(window)
        base = guided_base(sdr)
        detail = (sdr / base.clamp(min=1e-3)).clamp(0, 8)
        base_input, detail_input = torch.cat([sdr, base], dim=1), torch.cat([sdr, detail], dim=1)
        base_map, detail_map = self.base_shared(base_input), self.detail_shared(detail_input)
        b, d = self.base_in(base_input), self.detail_first(self.detail_in(detail_input))
        for index, block in enumerate(self.base_blocks):
            b = block(b, base_map)
            if index < len(self.detail_blocks):
                d = self.detail_blocks[index](d, detail_map, b)
        fused = self.fuse(torch.cat([b, d], dim=1))[..., : sdr.shape[-2], : sdr.shape[-1]]
        out: Tensor = self.last(fused)
        return out + sdr if self.config.base == "none" else out


def guided_base(picture: Tensor) -> Tensor:
    """Self-guided filter (He et al. 2013), radius 5, epsilon 0.01: (N, 3, H, W) -> its smooth base."""
    picture = picture.float()
    mean = _box(picture)
    variance = (_box(picture.square()) - mean.square()).clamp(min=0)
    slope = variance / (variance + _EPSILON)
    return _box(slope) * picture + _box(mean * (1 - slope))


def _box(x: Tensor) -> Tensor:
    side = 2 * _RADIUS_PX + 1
    return nn.functional.avg_pool2d(x, side, stride=1, padding=_RADIUS_PX, count_include_pad=False)


def _shared() -> nn.Sequential:
    c = _FEATURES
    return nn.Sequential(
        nn.Conv2d(6, c, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(c, c, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(c, c, 3, padding=1),
        nn.ReLU(),
    )

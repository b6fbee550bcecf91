"""Image-adaptive 3D LUT (Zeng et al. 2020, 593,516 parameters) and AdaInt (Yang et al. 2022, 619,724)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.window import Box, WindowNetwork

__all__ = ["AdaInt", "AdaptiveLut3D", "apply_lut"]

_POINTS = 33
_RANKS = 3
_SIDE = 256


class Lut(NamedTuple):
    """One picture's LUT.

    ``table``     (N, 3, B, G, R): output channels at 33³ points.
    ``vertices``  (N, 3, 33): where the points of R, G and B lie, ascending from 0 to 1; None: even.
    """

    table: Tensor
    vertices: Tensor | None


class _Backbone(nn.Sequential):
    """Five 3x3 convs of stride 2, LeakyReLU, instance norm on the first four, dropout: (N, 128, 8, 8)."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        widths = (3, 16, 32, 64, 128, 128)
        for index in range(5):
            layers += [nn.Conv2d(widths[index], widths[index + 1], 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
            if index < 4:
                layers.append(nn.InstanceNorm2d(widths[index + 1], affine=True))
        super().__init__(*layers, nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), any size -> (N, 128, 8, 8)."""
        y = nn.functional.interpolate(x, size=(_SIDE, _SIDE), mode="bilinear")
        for layer in self:
            y = layer(y)
        return y


class _LutNetwork(WindowNetwork):
    """Three basis LUTs, mixed by weights that a small network reads off the picture.

    The first basis starts at the identity (at zero where a base is corrected), the others at zero.
    """

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__(config)
        self.backbone = _Backbone()
        basis = torch.zeros(_RANKS, 3, _POINTS, _POINTS, _POINTS)
        if config.base == "none":
            axis = torch.linspace(0, 1, _POINTS)
            blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
            basis[0] = torch.stack([red, green, blue])
        # Flat: a five-dimensional parameter can't follow a network into channels-last.
        self.basis = nn.Parameter(basis.flatten(1))

    def mix(self, weights: Tensor) -> Tensor:
        """Weights (N, 3) -> tables (N, 3, 33, 33, 33), in fp32: bf16 has fewer steps than a table."""
        with torch.autocast(weights.device.type, enabled=False):
            return (weights.float() @ self.basis).view(-1, 3, _POINTS, _POINTS, _POINTS)

    def correction(self, window: Tensor, conditions: Any, boxes: list[Box] | None) -> Tensor:
        """See :meth:`WindowNetwork.correction`."""
        return apply_lut(self.centre(window), conditions)


class AdaptiveLut3D(_LutNetwork):
    """Image-adaptive 3D LUT: even points, weights from an 8x8 conv over the backbone's features."""

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__(config)
        self.weights = nn.Conv2d(128, _RANKS, 8)
        nn.init.ones_(self.weights.bias)  # type: ignore[arg-type]

    def shared_conditions(self, whole: Tensor) -> Lut:
        """The LUT of whole frames."""
        return Lut(self.mix(self.weights(self.backbone(self.centre(whole))).flatten(1)), None)


class AdaInt(_LutNetwork):
    """AdaInt: the points move as well; their intervals are a softmax over 32 numbers a channel."""

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__(config)
        features = 128 * 4
        self.weights = nn.Linear(features, _RANKS)
        self.intervals = nn.Linear(features, 3 * (_POINTS - 1))
        nn.init.ones_(self.weights.bias)
        nn.init.zeros_(self.intervals.weight)
        nn.init.ones_(self.intervals.bias)

    def shared_conditions(self, whole: Tensor) -> Lut:
        """The LUT of whole frames and where its points lie."""
        features = nn.functional.adaptive_avg_pool2d(self.backbone(self.centre(whole)), 2).flatten(1)
        steps = self.intervals(features).view(-1, 3, _POINTS - 1).float().softmax(dim=-1)
        vertices = nn.functional.pad(steps.cumsum(dim=-1), (1, 0))
        return Lut(self.mix(self.weights(features)), vertices)


def apply_lut(sdr: Tensor, lut: Lut) -> Tensor:
    """Trilinear look-up of R'G'B' 0..1 (N, 3, H, W) in each sample's LUT -> (N, 3, H, W), differentiable."""
    sdr = sdr.float().clamp(0, 1)
    place = sdr if lut.vertices is None else _place(sdr, lut.vertices)
    # grid_sample's x is the last axis of the table: red.
    grid = (2 * place - 1).movedim(1, -1)[:, None]
    return nn.functional.grid_sample(
        lut.table.float(), grid, mode="bilinear", padding_mode="border", align_corners=True
    )[:, :, 0]


def _place(sdr: Tensor, vertices: Tensor) -> Tensor:
    """Where values lie between uneven vertices, as if those were even: 0..1, piecewise linear."""
    n, c, h, w = sdr.shape
    flat = sdr.reshape(n, c, h * w).contiguous()
    left = (torch.searchsorted(vertices.detach().contiguous(), flat, right=True) - 1).clamp(0, _POINTS - 2)
    low, high = vertices.gather(-1, left), vertices.gather(-1, left + 1)
    place = (left + (flat - low) / (high - low).clamp(min=1e-6)) / (_POINTS - 1)
    return place.clamp(0, 1).view(n, c, h, w)

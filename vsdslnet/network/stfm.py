"""STFM, Spatial Temporal Feature Modulation (figures 6 and 7): conditions, modulation, residual branch."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet.network.blocks import LKRB, make_norm
from vsdslnet.network.config import DSLNetConfig, Norm

__all__ = [
    "STFM",
    "ColorBlock",
    "ConditionNet",
    "ModulationBranch",
    "ModulationVectors",
    "ResidualBranch",
    "averaged_down",
]

_LEAK = 0.1
_COLOR_WIDTHS = (16, 32, 64, 128)
_REPEATS = 3
_MIN_SIDE = 16
_TEMPORAL_LIMIT, _CURRENT_LIMIT, _SPATIAL_LIMIT = 1.15, 0.575, 0.75
"""Root mean square change of V_TM, V_CM and V_SM from the identity: what 99 of 100 training pictures stay below."""


class ModulationVectors(NamedTuple):
    """What ConditionNet says about a whole window; scale before shift along the channels.

    ``temporal`` V_TM (N, 2C); ``current`` V_CM (N, 2C); ``spatial`` V_SM (N, 2C, h, w) at low resolution.
    """

    temporal: Tensor
    current: Tensor
    spatial: Tensor


def averaged_down(window: Tensor, pixels: int) -> Tensor:
    """Frames (N, F, C, H, W) area-averaged to about so many pixels each, near their aspect; as they are with 0."""
    n, f, c, h, w = window.shape
    if not pixels:
        return window
    scale = (pixels / (h * w)) ** 0.5
    size = tuple(max(_MIN_SIDE, round(side * scale / _MIN_SIDE) * _MIN_SIDE) for side in (h, w))
    if size == (h, w):
        return window
    # A strip of a frame can't be followed at 1:100; its long side is bounded like its area.
    limit = pixels // _MIN_SIDE
    size = (min(size[0], limit), min(size[1], limit))
    small = F.interpolate(window.reshape(n * f, c, h, w), size=size, mode="area")
    return small.view(n, f, c, *size)


class ColorBlock(nn.Module):
    """Eq. 2, in HDRTVNet's order: 1x1 conv, average pool by 2, LeakyReLU, norm.

    Eq. 2 read inside out would normalise the picture itself first; HDRTVNet, which the block comes
    from, convolves first. The pool rounds up so that frames of any size go through. A 1x1 conv and
    an average change places without changing the result, so the average comes first and saves three
    quarters of the work.
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)
        self.norm = make_norm(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H/2), ceil(W/2))."""
        y = self.conv(F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False))
        out: Tensor = self.norm(F.leaky_relu(y, _LEAK))
        return out


class ConditionNet(nn.Module):
    """Branch 1: four ColorBlocks a frame, then TME (Eq. 4), CME (Eq. 5) and SME (Eq. 3).

    TME sees all frames' features stacked. SME's average pool smooths (3x3, stride 1) instead of
    shrinking further; its "Up" happens where V_SM is used. The biases of the scale half start at 1
    and the last convs at a tenth of their usual size, so that modulation starts near the identity.

    Not in the paper: the vectors are held near the identity. A frame that is all red is farther from any
    photograph than two of those from each other, and vectors multiply: what they said of it was a black picture.
    """

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__()
        self.frames = config.frames
        self.radius = config.radius
        self.condition_pixels = config.condition_pixels
        widths = (3, *_COLOR_WIDTHS)
        self.blocks = nn.Sequential(*(ColorBlock(a, b, config.norm) for a, b in pairwise(widths)))
        deep, features = _COLOR_WIDTHS[-1], config.features
        self.tme_in = nn.Conv2d(deep * config.frames, features, 1)
        self.tme_out = nn.Conv2d(features, 2 * features, 1)
        self.cme_in = nn.Conv2d(deep, features, 1)
        self.cme_out = nn.Conv2d(features, 2 * features, 1)
        self.sme = nn.Conv2d(deep, 2 * features, 1)
        for last in (self.tme_out, self.cme_out, self.sme):
            with torch.no_grad():
                last.weight.mul_(0.1)
                last.bias.zero_()  # type: ignore[union-attr]
                last.bias[:features] = 1  # type: ignore[index]

    def forward(self, window: Tensor) -> ModulationVectors:
        """Whole frames (N, F, 3, H, W) -> their modulation vectors."""
        features = self.frame_features(self.shrink(window))
        return self.vectors(features)

    def shrink(self, window: Tensor) -> Tensor:
        """Average frames down (or stretch tiny ones) to about ``condition_pixels``, near their aspect."""
        return averaged_down(window, self.condition_pixels)

    def frame_features(self, window: Tensor) -> Tensor:
        """ColorBlock features of every frame by itself: (N, F, 128, h, w); shareable between windows."""
        n, f, c, h, w = window.shape
        deep: Tensor = self.blocks(window.reshape(n * f, c, h, w))
        return deep.view(n, f, *deep.shape[1:])

    def vectors(self, features: Tensor) -> ModulationVectors:
        """Frame features (N, F, 128, h, w) -> modulation vectors (Eqs. 3-5)."""
        current = features[:, self.radius]
        temporal = self.tme_out(self.tme_in(features.flatten(1, 2)).mean(dim=(-2, -1), keepdim=True))
        global_ = self.cme_out(self.cme_in(current).mean(dim=(-2, -1), keepdim=True))
        smooth = F.avg_pool2d(F.leaky_relu(current, _LEAK), 3, stride=1, padding=1, count_include_pad=False)
        return ModulationVectors(
            _near_identity(temporal.flatten(1), _TEMPORAL_LIMIT),
            _near_identity(global_.flatten(1), _CURRENT_LIMIT),
            _near_identity(self.sme(smooth), _SPATIAL_LIMIT),
        )


def _near_identity(vector: Tensor, limit: float) -> Tensor:
    """Scale and shift (N, 2C, ...) brought towards scale 1, shift 0 where their root mean square change is larger."""
    scale, shift = vector.chunk(2, dim=1)
    change = torch.cat([scale - 1, shift], dim=1)
    change = change * (limit**2 / change.square().mean(dim=1, keepdim=True).clamp(min=limit**2)).sqrt()
    scale, shift = change.chunk(2, dim=1)
    return torch.cat([scale + 1, shift], dim=1)


def _modulate(x: Tensor, vector: Tensor) -> Tensor:
    """Eqs. 6 and 7 with one vector a sample: ``x * scale + shift``."""
    scale, shift = vector.to(x.dtype)[..., None, None].chunk(2, dim=1)
    return x * scale + shift


class ModulationBranch(nn.Module):
    """Branch 2: 1x1, TFM, then three times (ReLU, 1x1, CFM, SFM); V_CM and V_SM serve all three."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(features, features, 1) for _ in range(1 + _REPEATS))

    def forward(self, aligned: Tensor, temporal: Tensor, current: Tensor, spatial: Tensor) -> Tensor:
        """F_Aligned (N, C, H, W), V_TM and V_CM (N, 2C), V_SM already at (N, 2C, H, W) -> F_Mod."""
        scale, shift = spatial.to(aligned.dtype).chunk(2, dim=1)
        y = _modulate(self.convs[0](aligned), temporal)
        for conv in self.convs[1:]:
            y = _modulate(conv(torch.relu(y)), current) * scale + shift
        return y


class ResidualBranch(nn.Sequential):
    """Branch 3 (Eq. 8): twice (3x3, LeakyReLU), the paper's four LKRB, 3x3 -> F_skip."""

    def __init__(self, config: DSLNetConfig) -> None:
        c = config.features
        super().__init__(
            nn.Conv2d(c, c, 3, padding=1),
            nn.LeakyReLU(_LEAK),
            nn.Conv2d(c, c, 3, padding=1),
            nn.LeakyReLU(_LEAK),
            *(LKRB(c, config.kernel, config.lkrb) for _ in range(config.chain)),
            nn.Conv2d(c, c, 3, padding=1),
        )


class STFM(nn.Module):
    """Spatial Temporal Feature Modulation: F_Modulated = F_Mod + F_skip."""

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__()
        self.condition = ConditionNet(config)
        self.modulation = ModulationBranch(config.features)
        self.residual = ResidualBranch(config)

    def forward(self, aligned: Tensor, vectors: ModulationVectors, spatial: Tensor) -> Tensor:
        """F_Aligned, the window's vectors and V_SM at full size (N, 2C, H, W) -> F_Modulated."""
        modulated: Tensor = self.modulation(aligned, vectors.temporal, vectors.current, spatial)
        skip: Tensor = self.residual(aligned)
        return modulated + skip

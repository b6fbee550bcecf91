"""HDRTVNet (Chen et al. 2021): AGCM, LE, and HG for blown highlights."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.window import Box, WindowNetwork, start_at_base
from vsdslnet.training.paper.baselines.csrnet import SequentialModulation
from vsdslnet.training.paper.baselines.resnet import SRResNet

__all__ = ["HDRTVNet"]

_LEAK = 0.2
_CONDITION = 6
_HIGHLIGHT_START = 0.95


class ColorCondition(nn.Sequential):
    """AGCM's condition: five times (1x1, average pool, LeakyReLU, instance norm but last), 1x1, mean."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        widths = (3, 16, 32, 64, 128, 128)
        for index, (a, b) in enumerate(pairwise(widths)):
            layers += [nn.Conv2d(a, b, 1), nn.AvgPool2d(3, stride=2, padding=1), nn.LeakyReLU(_LEAK)]
            if index < len(widths) - 2:
                layers.append(nn.InstanceNorm2d(b, affine=True))
        super().__init__(*layers, nn.Dropout(0.5), nn.Conv2d(128, _CONDITION, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class HDRTVNet(WindowNetwork):
    """AGCM (35,251) and then LE (1,369,859): 1,405,110 parameters, the 1.41M of table 1.

    ``highlights`` adds HG, a U-Net of 37 million parameters that is added where the brightest channel
    exceeds 0.95. Table 1's count leaves it out, and so does the comparison.
    """

    def __init__(self, config: DSLNetConfig, *, highlights: bool = False) -> None:
        super().__init__(config)
        self.condition = ColorCondition()
        self.agcm = SequentialModulation(_CONDITION)
        self.le = SRResNet(3)
        self.hg = HighlightGeneration() if highlights else None
        start_at_base(config, self.le.last)
        if self.hg is not None:
            start_at_base(config, self.hg.last)

    def shared_conditions(self, whole: Tensor) -> Tensor:
        """The condition vector (N, 6) of whole frames."""
        frame = self.centre(whole)
        if min(frame.shape[-2:]) < 32:  # four pools must leave more than a pixel to normalise
            frame = nn.functional.interpolate(frame, size=(32, 32), mode="area")
        vector: Tensor = self.condition(frame)
        return vector

    def correction(self, window: Tensor, conditions: Any, boxes: list[Box] | None) -> Tensor:
        """See :meth:`WindowNetwork.correction`."""
        sdr = self.centre(window)
        out: Tensor = self.le(self.agcm(sdr, conditions))
        if self.hg is not None:
            brightest = sdr.amax(dim=1, keepdim=True)
            mask = ((brightest - _HIGHLIGHT_START) / (1 - _HIGHLIGHT_START)).clamp(0, 1)
            out = out + mask * self.hg(out)
        return out


class HighlightGeneration(nn.Module):
    """HG: a five-level U-Net (3x3, batch norm, ReLU; max pool down, pixel shuffle up)."""

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        widths = [features * factor for factor in (1, 2, 4, 8, 8, 8)]
        self.down = nn.ModuleList()
        self.deepen = nn.ModuleList()
        self.down.append(_conv_block(3, widths[0]))
        self.deepen.append(_conv_block(widths[0], widths[1]))
        for a, b in pairwise(widths[1:]):
            self.down.append(_conv_block(a, b))
            self.deepen.append(_conv_block(b, b))
        # Skips are what each level's second block gives; the outermost is the first block's own.
        skips = [widths[0], *widths[1:]]
        self.up = nn.ModuleList()
        self.merge = nn.ModuleList()
        inner = widths[-1]
        for skip, outer in zip(skips[-2::-1], [512, 256, 128, 64, 3], strict=True):
            self.up.append(nn.Conv2d(inner, 4 * inner, 3, padding=1))
            self.merge.append(nn.Conv2d(inner + skip, outer, 1))
            inner = outer
        self.last = nn.Conv2d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> what to add in highlights (N, 3, H, W), any size."""
        height, width = x.shape[-2:]
        pad = (0, -width % 32, 0, -height % 32)
        picture = nn.functional.pad(x, pad, mode="replicate")
        y = picture
        skips: list[Tensor] = []
        for index, (down, deepen) in enumerate(zip(self.down, self.deepen, strict=True)):
            y = down(y)
            if index == 0:
                skips.append(y)
            y = deepen(nn.functional.max_pool2d(y, 2))
            skips.append(y)
        y = skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            y = torch.relu(nn.functional.pixel_shuffle(up(y), 2))
            y = merge(torch.cat([y, skips.pop()], dim=1))
        out: Tensor = self.last(torch.cat([y, picture], dim=1))
        return out[..., :height, :width]


def _conv_block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())

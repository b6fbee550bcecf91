"""DSLNet with parts taken out: M0 to M6 of table 2, tables 3, 4 and 5.

The paper names what each step adds and not what stands there before. Read as seats: DSLNet's trunk
has one seat for alignment, two parallel ones (modulation, residual branch) and one for enhancement.
M0, "a single-frame ResNet", seats plain pieces only; each step seats the paper's own piece:

====  ==========================================================  ===================================
step  the paper's words                                           what changes here
====  ==========================================================  ===================================
M0    baseline                                                    3x3 on the centre frame, plain blocks
M1    single frame feature modulation                             + modulation branch, V_CM of the centre
M2    parallel large kernel depthwise residual block              residual branch: plain blocks -> LKRB
M3    temporal feature modulation                                 + V_TM of all frames
M4    spatial feature modulation                                  + V_SM
M5    large kernel depthwise motion estimation                    3x3 on the centre -> DMFA, no dynamic conv
M6    large kernel quality enhancement                            enhancement: plain blocks -> LKRB
M7    dynamic convolution motion estimation                       DSLNet
====  ==========================================================  ===================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import torch
from torch import Tensor, nn

from vsdslnet.network.blocks import LKRB, PlainBlock, he_init
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dmfa import DMFA
from vsdslnet.network.dslnet import upsample_crop
from vsdslnet.network.stfm import ConditionNet, ModulationBranch, ModulationVectors
from vsdslnet.network.window import Box, WindowNetwork, start_at_base

__all__ = ["AblationNet", "PartialCondition", "Parts"]

_LEAK = 0.1
_BLOCKS = 4


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Who sits where.

    ``align``       "centre": one 3x3 conv on the centre frame; "stack": ten 3x3 convs on all frames (table 4);
                    "static" and "dynamic": DMFA without and with its dynamic conv.
    ``modulation``  "none", "stack": six 3x3 convs (table 5), or the vectors in use: "current",
                    "current+temporal", "all".
    ``residual``    blocks of the residual branch: "plain" or "large" (LKRB).
    ``enhance``     blocks of the enhancement: "plain" or "large" (LKQE).
    """

    align: Literal["centre", "stack", "static", "dynamic"] = "dynamic"
    modulation: Literal["none", "stack", "current", "current+temporal", "all"] = "all"
    residual: Literal["plain", "large"] = "large"
    enhance: Literal["plain", "large"] = "large"


class PartialCondition(ConditionNet):
    """ConditionNet without TME or SME; a vector nobody predicts is the identity (scale 1, shift 0)."""

    def __init__(self, config: DSLNetConfig, *, temporal: bool, spatial: bool) -> None:
        super().__init__(config)
        self.temporal, self.spatial = temporal, spatial
        if not temporal:
            del self.tme_in, self.tme_out
        if not spatial:
            del self.sme

    def forward(self, window: Tensor) -> ModulationVectors:
        """Whole frames (N, F, 3, H, W) -> modulation vectors; without TME only the centre is looked at."""
        if self.temporal:
            return super().forward(window)
        return self.vectors(self.frame_features(self.shrink(window[:, self.radius : self.radius + 1])))

    def vectors(self, features: Tensor) -> ModulationVectors:
        """Frame features (N, F or 1, 128, h, w) -> modulation vectors, identities where a head is missing."""
        current = features[:, features.shape[1] // 2]
        shared = self.cme_out(self.cme_in(current).mean(dim=(-2, -1), keepdim=True)).flatten(1)
        scale, shift = shared.chunk(2, dim=1)
        identity = torch.cat([torch.ones_like(scale), torch.zeros_like(shift)], dim=1)
        temporal = identity
        if self.temporal:
            pooled = self.tme_in(features.flatten(1, 2)).mean(dim=(-2, -1), keepdim=True)
            temporal = self.tme_out(pooled).flatten(1)
        return ModulationVectors(temporal, shared, self._spatial(current, identity))

    def _spatial(self, current: Tensor, identity: Tensor) -> Tensor:
        if not self.spatial:
            return identity[..., None, None]
        smooth = nn.functional.leaky_relu(current, _LEAK)
        smooth = nn.functional.avg_pool2d(smooth, 3, stride=1, padding=1, count_include_pad=False)
        spatial: Tensor = self.sme(smooth)
        return spatial


class AblationNet(WindowNetwork):
    """DSLNet's trunk with the given parts in its seats."""

    def __init__(self, config: DSLNetConfig, parts: Parts) -> None:
        super().__init__(config)
        self.parts = parts
        c = config.features
        self.align = _aligner(config, parts)
        self.condition: PartialCondition | None = None
        self.modulation: nn.Module | None = None
        if parts.modulation == "stack":
            self.modulation = _stack(c, c, 6)
        elif parts.modulation != "none":
            self.condition = PartialCondition(
                config, temporal=parts.modulation != "current", spatial=parts.modulation == "all"
            )
            self.modulation = ModulationBranch(c)
        self.residual = nn.Sequential(
            nn.Conv2d(c, c, 3, padding=1),
            nn.LeakyReLU(_LEAK),
            nn.Conv2d(c, c, 3, padding=1),
            nn.LeakyReLU(_LEAK),
            *_blocks(config, parts.residual),
            nn.Conv2d(c, c, 3, padding=1),
        )
        self.enhance = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), *_blocks(config, parts.enhance))
        self.head = nn.Conv2d(c, 3, 3, padding=1)
        for part in (self.align, self.modulation, self.residual, self.enhance):
            if part is not None and not isinstance(part, DMFA):  # which starts itself, with its offsets at 0
                he_init(part)
        start_at_base(config, self.head)

    def shared_conditions(self, whole: Tensor) -> ModulationVectors | None:
        """Modulation vectors of whole frames (N, F, 3, h, w), or None without modulation."""
        if self.condition is None:
            return None
        vectors: ModulationVectors = self.condition(whole)
        return vectors

    def correction(self, window: Tensor, conditions: Any, boxes: list[Box] | None) -> Tensor:
        """See :meth:`WindowNetwork.correction`; the dynamic kernels come from the window itself."""
        frames = self.centre(window) if self.parts.align == "centre" else window.flatten(1, 2)
        aligned = self.align(frames)
        features = self.residual(aligned)
        if self.modulation is not None and self.condition is not None:
            size = (window.shape[-2], window.shape[-1])
            spatial = upsample_crop(conditions.spatial, size, boxes)
            features = features + self.modulation(aligned, conditions.temporal, conditions.current, spatial)
        elif self.modulation is not None:
            features = features + self.modulation(aligned)
        out: Tensor = self.head(self.enhance(features))
        return out


def _aligner(config: DSLNetConfig, parts: Parts) -> nn.Module:
    if parts.align == "centre":
        return nn.Sequential(nn.Conv2d(3, config.features, 3, padding=1), nn.ReLU())
    if parts.align == "stack":
        return _stack(3 * config.frames, config.features, 10)
    static = parts.align == "static"
    return DMFA(msgspec.structs.replace(config, dynamic_kernel=0) if static else config)


def _stack(inputs: int, features: int, depth: int) -> nn.Sequential:
    """``depth`` times 3x3 conv and ReLU: the "stacked block of normal convolutions" of tables 4 and 5."""
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [nn.Conv2d(inputs if index == 0 else features, features, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)


def _blocks(config: DSLNetConfig, kind: Literal["plain", "large"]) -> list[nn.Module]:
    if kind == "plain":
        return [PlainBlock(config.features) for _ in range(_BLOCKS)]
    return [LKRB(config.features, config.kernel, config.lkrb) for _ in range(_BLOCKS)]

"""Every network of the paper's five tables, and of our own reading of it, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import msgspec
from torch import nn

from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.window import WindowNetwork
from vsdslnet.training.paper.ablation import AblationNet, Parts
from vsdslnet.training.paper.baselines import (
    AdaInt,
    AdaptiveLut3D,
    CSRNet,
    DeepSRITM,
    HDRTVNet,
    MultiFrameResNet,
    ResNet,
)

__all__ = ["VARIANTS", "Variant", "build_variant", "count_parameters"]

Build = Callable[[DSLNetConfig], WindowNetwork]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of a table: where it stands, what it is, and the parameters the paper gives it (if any)."""

    table: str
    what: str
    build: Build
    paper_parameters: int | None = None
    changes: dict[str, object] = field(default_factory=dict)

    def config(self, config: DSLNetConfig) -> DSLNetConfig:
        """A shared configuration with what this variant changes in it."""
        return msgspec.structs.replace(config, **self.changes)


def _step(what: str, **parts: str) -> Variant:
    return Variant(table="2", what=what, build=partial(AblationNet, parts=Parts(**parts)))  # type: ignore[arg-type]


def _reading(what: str, **changes: object) -> Variant:
    return Variant(table="reading", what=what, build=DSLNet, changes=changes)


VARIANTS: dict[str, Variant] = {
    "dslnet": Variant(table="1-5", what="the proposed network (M7)", build=DSLNet, paper_parameters=930_000),
    "resnet": Variant(table="1", what="SRResNet", build=ResNet, paper_parameters=1_370_000),
    "csrnet": Variant(table="1", what="CSRNet", build=CSRNet, paper_parameters=36_000),
    "lut3d": Variant(table="1", what="image-adaptive 3D LUT", build=AdaptiveLut3D, paper_parameters=590_000),
    "adaint": Variant(table="1", what="AdaInt 3D LUT", build=AdaInt, paper_parameters=620_000),
    "sr-itm": Variant(table="1", what="Deep SR-ITM, same size out", build=DeepSRITM, paper_parameters=2_870_000),
    "hdrtvnet": Variant(table="1", what="HDRTVNet, AGCM and LE", build=HDRTVNet, paper_parameters=1_410_000),
    "hdrtvnet-hg": Variant(
        table="1", what="HDRTVNet with highlight generation", build=partial(HDRTVNet, highlights=True)
    ),
    "m0": _step("single-frame ResNet", align="centre", modulation="none", residual="plain", enhance="plain"),
    "m1": _step("M0 + modulation", align="centre", modulation="current", residual="plain", enhance="plain"),
    "m2": _step("M1 + parallel LKRB", align="centre", modulation="current", enhance="plain"),
    "m3": _step("M2 + temporal modulation", align="centre", modulation="current+temporal", enhance="plain"),
    "m4": _step("M3 + spatial modulation", align="centre", enhance="plain"),
    "m5": _step("M4 + large-kernel alignment", align="static", enhance="plain"),
    "m6": _step("M5 + LKQE", align="static"),
    "mresnet": Variant(table="3", what="ResNet on stacked frames", build=MultiFrameResNet, paper_parameters=1_380_000),
    "no-align": Variant(
        table="4",
        what="3x3 convs instead of DMFA",
        build=partial(AblationNet, parts=Parts(align="stack")),
        paper_parameters=1_030_000,
    ),
    "no-modulation": Variant(
        table="5",
        what="3x3 convs instead of modulation",
        build=partial(AblationNet, parts=Parts(modulation="stack")),
        paper_parameters=1_030_000,
    ),
    "no-offset-conv": _reading("offsets straight after LDOE's ReLU", offset_conv=False),
    "norm-batch": _reading("BatchNorm in Eq. 2", norm="batch"),
    "norm-instance": _reading("InstanceNorm in Eq. 2", norm="instance"),
    "lkrb-text": _reading("LKRB in the prose's order", lkrb="text"),
    "base-plain": _reading("base: plain conversion", base="plain"),
    "base-none": _reading("no base, PQ outright", base="none"),
    "condition-small": _reading("ConditionNet on 64x36", condition_pixels=64 * 36),
    "letter": _reading(
        "the paper's letter in all of these",
        offset_conv=False,
        norm="instance",
        lkrb="text",
        base="none",
        condition_pixels=0,
    ),
}
"""Names that ``scripts/ablate.py`` takes, in the order of the paper's tables."""


def build_variant(name: str, config: DSLNetConfig | None = None) -> WindowNetwork:
    """A fresh network by name; ``config`` is what all rows of a table share (default: DSLNet's own)."""
    if name not in VARIANTS:
        raise ArgumentError("variant", name, f"one of {', '.join(VARIANTS)}")
    variant = VARIANTS[name]
    return variant.build(variant.config(config or DSLNetConfig()))


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers in a network."""
    return sum(parameter.numel() for parameter in network.parameters())

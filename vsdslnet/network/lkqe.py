"""LKQE, Large Kernel Quality Enhancement: 3x3, ReLU, a chain of LKRB (four in the paper)."""

from __future__ import annotations

from torch import nn

from vsdslnet.network.blocks import LKRB
from vsdslnet.network.config import DSLNetConfig

__all__ = ["LKQE"]


class LKQE(nn.Sequential):
    """F_Modulated (N, C, H, W) -> enhanced features of the same shape.

    The paper names its input F_Aligned once; figure 4 and the sentence before say F_Modulated.
    """

    def __init__(self, config: DSLNetConfig) -> None:
        c = config.features
        super().__init__(
            nn.Conv2d(c, c, 3, padding=1),
            nn.ReLU(),
            *(LKRB(c, config.kernel, config.lkrb) for _ in range(config.chain)),
        )

"""LKQE, Large Kernel Quality Enhancement: 3x3, ReLU, a chain of LKRB (four in the paper)."""

from __future__ import annotations

from torch import nn

from vsdslnet.network.blocks import LKRB
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.frame_blend import evidence_feature_channels

__all__ = ["LKQE", "first_leak"]

_LEAK = 0.1


def first_leak(config: DSLNetConfig) -> float:
    """Slope below zero of the first activation: 0, the paper's ReLU, but on blocks of pixels.

    There an untrained head's errors grow with the features, and the steps that make them smaller had every feature
    below zero in all of the frame within 200 steps: nothing came through, and nothing was learnt any more.
    """
    return 0.0 if config.scale == 1 else _LEAK


class LKQE(nn.Sequential):
    """F_Modulated (N, C, H, W) -> enhanced features of the same shape; on blocks with what those show, as well.

    The paper names its input F_Aligned once; figure 4 and the sentence before say F_Modulated.
    """

    def __init__(self, config: DSLNetConfig) -> None:
        c = config.features
        super().__init__(
            nn.Conv2d(c + evidence_feature_channels(config), c, 3, padding=1),
            nn.LeakyReLU(first_leak(config)) if first_leak(config) else nn.ReLU(),
            *(LKRB(c, config.kernel, config.lkrb) for _ in range(config.chain)),
        )

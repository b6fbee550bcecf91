"""What training and evaluation ask of any network that turns a window into an HDR frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from vsdslnet.color.bases import base_pq
from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import Box, black_gate

__all__ = ["WindowNetwork", "start_at_base"]


class WindowNetwork(nn.Module, ABC):
    """A window (N, 2T+1, 3, H, W) of SDR, and what its whole frames say, to PQ (N, 3, H, W).

    Every variant and rival gets the base, the gate and the frames that DSLNet gets, so that a table
    compares networks and nothing else. With ``config.base`` "none" each predicts PQ outright, as the
    papers do. Single-frame networks take the window's centre.
    """

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__()
        if config.scale != 1 or config.color_map:
            got, cure = (config.scale, config.color_map), "only DSLNet works on blocks or has a colour map"
            raise ArgumentError("scale, color_map", got, "1, false", cure)
        self.config = config

    def forward(self, window: Tensor) -> Tensor:
        """SDR R'G'B' 0..1 (N, 2T+1, 3, H, W), whole frames -> PQ BT.2020 (N, 3, H, W), not clamped."""
        return self.render(window, self.shared_conditions(window))

    def shared_conditions(self, whole: Tensor) -> Any:
        """What whole frames (N, 2T+1, 3, h, w), averaged down or not, say about any crop of theirs."""
        return None

    def render(self, window: Tensor, conditions: Any, boxes: list[Box] | None = None) -> Tensor:
        """Frames, or crops that lie at ``boxes`` (x0, y0, x1, y1 in 0..1) of their frames -> PQ."""
        sdr = window[:, self.config.radius].float()
        correction = self.correction(window, conditions, boxes).float()
        with torch.autocast(window.device.type, enabled=False):
            if self.config.base == "none":
                return correction
            gate = black_gate(sdr, self.config.black_anchor)
            return base_pq(sdr, self.config.base) + gate * correction

    @abstractmethod
    def correction(self, window: Tensor, conditions: Any, boxes: list[Box] | None) -> Tensor:
        """What the network says, before base and gate: (N, 3, H, W)."""

    def centre(self, window: Tensor) -> Tensor:
        """The centre frame (N, 3, H, W) of a window."""
        return window[:, self.config.radius]


def start_at_base(config: DSLNetConfig, *layers: nn.Conv2d | nn.Linear) -> None:
    """Zero the last layers of a network that corrects a base, so that untrained it is the base."""
    if config.base != "none":
        for layer in layers:
            nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

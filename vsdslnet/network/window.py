"""What every network is that turns a window into an HDR frame: conditions, a correction, the base under it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from vsdslnet.color.bases import base_pq
from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig

__all__ = ["Box", "WindowNetwork", "black_gate", "start_at_base"]

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 of a crop in its frame, 0..1."""


class WindowNetwork(nn.Module, ABC):
    """A window (N, 2T+1, 3, H, W) of SDR, and what its whole frames say, to PQ (N, 3, H, W).

    Every variant and baseline gets the base, the gate and the frames that DSLNet gets, so that a table
    compares networks and nothing else. The result is ``base(X_i) + black_gate(X_i) * correction(...)``, always in
    fp32, outside any autocast. With ``config.base`` "none" each predicts PQ outright, as the papers do.
    Single-frame networks take the window's centre.
    """

    works_on_blocks = False
    """Whether ``config.scale`` and ``config.color_map`` mean anything to it."""

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__()
        if not self.works_on_blocks and not _as_the_paper(config):
            got = (config.scale, config.color_map, config.frame_blend, config.gain_radius)
            cure = "only DSLNet works on blocks, has a colour map, blends frames or knows the neighbourhood"
            raise ArgumentError("scale, color_map, frame_blend, gain_radius", got, "1, false, false, 0", cure)
        self.config = config

    def forward(self, window: Tensor) -> Tensor:
        """SDR R'G'B' 0..1 (N, 2T+1, 3, H, W), whole frames -> PQ BT.2020 (N, 3, H, W), not clamped."""
        return self.render(window, self.conditions(window))

    def conditions(self, window: Tensor) -> Any:
        """What whole frames (N, 2T+1, 3, H, W) at their own size say about any part of theirs."""
        return self.shared_conditions(window)

    def shared_conditions(self, whole: Tensor) -> Any:
        """What whole frames (N, 2T+1, 3, h, w), averaged down or not, say about any crop of theirs."""
        return None

    def render(self, window: Tensor, conditions: Any, boxes: list[Box] | None = None) -> Tensor:
        """Frames, or crops of frames, under given conditions: (N, 2T+1, 3, h, w) -> PQ (N, 3, h, w).

        ``boxes`` says where each sample's crop lies in its frame, as x0, y0, x1, y1 in 0..1.
        """
        sdr = window[:, self.config.radius].float()
        return self.compose(sdr, self.correction(window, conditions, boxes).float())

    def compose(self, sdr: Tensor, correction: Tensor, lines: Tensor | None = None) -> Tensor:
        """Base plus gated correction, in fp32: SDR (N, 3, h, w), correction (N, 3, h, w) -> PQ.

        ``lines`` (N, 2, h, w) tell the neighbourhood that the base's gain follows.
        """
        with torch.autocast(sdr.device.type, enabled=False):
            if self.config.base == "none":
                return correction
            return base_pq(sdr, self.config.base, lines) + black_gate(sdr, self.config.black_anchor) * correction

    @abstractmethod
    def correction(self, window: Tensor, conditions: Any, boxes: list[Box] | None) -> Tensor:
        """What the network says, before base and gate: (N, 3, H, W)."""

    def centre(self, window: Tensor) -> Tensor:
        """The centre frame (N, 3, H, W) of a window."""
        return window[:, self.config.radius]


def _as_the_paper(config: DSLNetConfig) -> bool:
    return config.scale == 1 and not (config.color_map or config.frame_blend or config.gain_radius)


def start_at_base(config: DSLNetConfig, *layers: nn.Conv2d | nn.Linear) -> None:
    """Zero the last layers of a network that corrects a base, so that untrained it is the base."""
    if config.base != "none":
        for layer in layers:
            nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def black_gate(sdr: Tensor, anchor: float) -> Tensor:
    """0 at black, 1 from where the brightest channel reaches ``anchor``: (..., 3, H, W) -> (..., 1, H, W)."""
    if anchor <= 0:
        return torch.ones_like(sdr[..., :1, :, :])
    return (sdr.amax(dim=-3, keepdim=True) / anchor).clamp(0, 1)

"""DSLNet: DMFA, STFM, LKQE and a head that corrects an analytic base (figure 4, Eq. 1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet.color.bases import base_pq
from vsdslnet.network.blocks import he_init
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dmfa import DMFA
from vsdslnet.network.lkqe import LKQE
from vsdslnet.network.pixel_blocks import shuffled, whole_blocks
from vsdslnet.network.stfm import STFM, ModulationVectors

__all__ = ["MAP_CHANNELS", "Conditions", "DSLNet", "black_gate", "mapped_colors", "upsample_crop"]

MAP_CHANNELS = 3 * 4
"""Channels of a colour map: for each colour of the correction its factors on R', G', B' and what is added."""

Box = tuple[float, float, float, float]


class Conditions(NamedTuple):
    """Everything global that a window's frames say; with it any tile can be rendered by itself."""

    vectors: ModulationVectors
    kernels: Tensor | None


class DSLNet(nn.Module):
    """SDR window in, HDR frame out: Y_i = DSLNet(X_{i-T} .. X_{i+T}) (Eq. 1).

    The result is ``base(X_i) + black_gate(X_i) * head(...)`` in PQ. The head is zero-initialised, so
    an untrained network *is* the base: a global residual that costs no
    parameter. Base, gate and sum are always fp32, outside any autocast.

    With a ``scale`` s every position between frames and correction is a block of s x s pixels; the conditions come from
    whole frames in pixels whatever the scale.
    """

    def __init__(self, config: DSLNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or DSLNetConfig()
        self.dmfa = DMFA(self.config)
        self.stfm = STFM(self.config)
        self.lkqe = LKQE(self.config)
        outputs = 3 * self.config.scale**2 + (MAP_CHANNELS if self.config.color_map else 0)
        self.head = nn.Conv2d(self.config.features, outputs, 3, padding=1)
        he_init(self.stfm.residual)
        he_init(self.stfm.modulation)
        he_init(self.lkqe)
        if self.config.base != "none":
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, window: Tensor) -> Tensor:
        """SDR R'G'B' 0..1 (N, 2T+1, 3, H, W) -> PQ BT.2020 (N, 3, H, W), not clamped."""
        return self.render(window, self.conditions(window))

    def conditions(self, window: Tensor) -> Conditions:
        """Whole frames (N, 2T+1, 3, H, W) -> the global conditions under which to render them."""
        encoded = self.dmfa.ldoe.encode(whole_blocks(window, self.config.scale).flatten(1, 2))
        return Conditions(self.stfm.condition(window), self.dmfa.ldoe.kernels(encoded))

    def shared_conditions(self, whole: Tensor) -> Conditions:
        """What whole frames, averaged down, say about any crop of theirs; the crop's kernels are its own."""
        return Conditions(self.stfm.condition(whole), None)

    def render(self, window: Tensor, conditions: Conditions, boxes: list[Box] | None = None) -> Tensor:
        """Render frames, or crops of frames, under given conditions: (N, 2T+1, 3, h, w) -> (N, 3, h, w).

        ``boxes`` says where each sample's crop lies in its frame, as x0, y0, x1, y1 in 0..1. Crops that begin and end
        between blocks are others than those of the frame.
        With ``conditions.kernels`` None the dynamic kernels come from the crops themselves.
        """
        sdr = window[:, self.config.radius].float()
        correction = self.correction(window, conditions, boxes).float()
        return self.compose(sdr, correction)

    def correction(self, window: Tensor, conditions: Conditions, boxes: list[Box] | None = None) -> Tensor:
        """What the head says before it is gated and added to the base: (N, 3, h, w), PQ units."""
        height, width = window.shape[-2:]
        window = whole_blocks(window, self.config.scale)
        aligned = self.dmfa(window.flatten(1, 2), conditions.kernels)
        spatial = upsample_crop(conditions.vectors.spatial, (aligned.shape[-2], aligned.shape[-1]), boxes)
        modulated = self.stfm(aligned, conditions.vectors, spatial)
        said = self.head(self.lkqe(modulated))
        return self.pixels_of(said, window[:, self.config.radius])[..., :height, :width]

    def pixels_of(self, said: Tensor, sdr: Tensor) -> Tensor:
        """What the head says (N, 3*s*s [+ 12], h, w) of frames (N, 3, H, W) of whole blocks -> the correction there."""
        scale = self.config.scale
        pixels = 3 * scale**2
        correction = shuffled(said[:, :pixels], scale)
        if not self.config.color_map:
            return correction
        maps = F.interpolate(said[:, pixels:].float(), scale_factor=scale, mode="bilinear", align_corners=False)
        return correction.float() + mapped_colors(maps, sdr.float())

    def compose(self, sdr: Tensor, correction: Tensor) -> Tensor:
        """Base plus gated correction, in fp32: SDR (N, 3, h, w), correction (N, 3, h, w) -> PQ."""
        with torch.autocast(sdr.device.type, enabled=False):
            if self.config.base == "none":
                return correction
            return base_pq(sdr, self.config.base) + black_gate(sdr, self.config.black_anchor) * correction


def black_gate(sdr: Tensor, anchor: float) -> Tensor:
    """0 at black, 1 from where the brightest channel reaches ``anchor``: (..., 3, H, W) -> (..., 1, H, W)."""
    if anchor <= 0:
        return torch.ones_like(sdr[..., :1, :, :])
    return (sdr.amax(dim=-3, keepdim=True) / anchor).clamp(0, 1)


def mapped_colors(maps: Tensor, sdr: Tensor) -> Tensor:
    """Affine maps (N, 12, H, W) of the colours (N, 3, H, W) they stand at: (N, 3, H, W)."""
    n, _, height, width = maps.shape
    red, green, blue, added = maps.view(n, 3, 4, height, width).unbind(2)
    mapped: Tensor = red * sdr[:, 0:1] + green * sdr[:, 1:2] + blue * sdr[:, 2:3] + added
    return mapped


def upsample_crop(spatial: Tensor, size: tuple[int, int], boxes: list[Box] | None = None) -> Tensor:
    """V_SM (N, C, h, w) of whole frames -> its bilinear values over each sample's box at ``size`` (H, W).

    Without boxes it is the whole frame. Sampling follows ``interpolate(align_corners=False)``.
    """
    if boxes is None:
        return F.interpolate(spatial, size=size, mode="bilinear", align_corners=False)
    ys = (torch.arange(size[0], device=spatial.device, dtype=torch.float32) + 0.5) / size[0]
    xs = (torch.arange(size[1], device=spatial.device, dtype=torch.float32) + 0.5) / size[1]
    # Boxes stay numbers: as a tensor they would be copied to the device, which waits for it.
    box = np.asarray(boxes, np.float32)
    sides = np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1).tolist()
    gx = torch.stack([2 * (left + xs * width) - 1 for left, _, width, _ in sides])
    gy = torch.stack([2 * (top + ys * height) - 1 for _, top, _, height in sides])
    n = spatial.shape[0]
    grid = torch.stack([gx[:, None, :].expand(n, *size), gy[:, :, None].expand(n, *size)], dim=-1)
    sampled = F.grid_sample(spatial.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.to(spatial.dtype)

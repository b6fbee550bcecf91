"""DSLNet: DMFA, STFM, LKQE and a head that corrects an analytic base (figure 4, Eq. 1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet.color.measured import level_of
from vsdslnet.color.neighbourhood import neighbourhood_lines
from vsdslnet.network.blocks import he_init
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dmfa import DMFA
from vsdslnet.network.frame_blend import (
    blend_channels,
    blended,
    block_evidence,
    evidence_feature_channels,
    evidence_features,
    pixel_evidence_channels,
)
from vsdslnet.network.lkqe import LKQE
from vsdslnet.network.pixel_blocks import shuffled, whole_blocks
from vsdslnet.network.stfm import STFM, ModulationVectors
from vsdslnet.network.window import Box, WindowNetwork, start_at_base

__all__ = ["MAP_CHANNELS", "Conditions", "DSLNet", "coarse_channels", "mapped_colors", "refined", "upsample_crop"]

MAP_CHANNELS = 3 * 4
"""Channels of a colour map: for each colour of the correction its factors on R', G', B' and what is added."""


class Conditions(NamedTuple):
    """Everything global that a window's frames say; with it any tile can be rendered by itself."""

    vectors: ModulationVectors
    kernels: Tensor | None
    lines: Tensor | None = None
    """Of the neighbourhood that the base's gain follows (N, 2, h, w), at the size of the frames averaged down."""


class DSLNet(WindowNetwork):
    """SDR window in, HDR frame out: Y_i = DSLNet(X_{i-T} .. X_{i+T}) (Eq. 1).

    The head is zero-initialised, so an untrained network *is* the base: a global residual that costs no parameter.

    With a ``scale`` s every position between frames and correction is a block of s x s pixels; the conditions come from
    whole frames in pixels whatever the scale.
    """

    works_on_blocks = True

    def __init__(self, config: DSLNetConfig | None = None) -> None:
        super().__init__(config or DSLNetConfig())
        self.dmfa = DMFA(self.config)
        self.stfm = STFM(self.config)
        self.lkqe = LKQE(self.config)
        outputs = 3 * self.config.scale**2 + coarse_channels(self.config)
        self.head = nn.Conv2d(self.config.features, outputs, 3, padding=1)
        he_init(self.stfm.residual)
        he_init(self.stfm.modulation)
        he_init(self.lkqe)
        start_at_base(self.config, self.head)

    def conditions(self, window: Tensor) -> Conditions:
        """Whole frames (N, 2T+1, 3, H, W) -> the global conditions under which to render them."""
        encoded = self.dmfa.ldoe.encode(whole_blocks(window, self.config.scale).flatten(1, 2))
        return Conditions(self.stfm.condition(window), self.dmfa.ldoe.kernels(encoded), self.neighbourhood(window))

    def shared_conditions(self, whole: Tensor) -> Conditions:
        """What whole frames, averaged down, say about any crop of theirs; the crop's kernels are its own."""
        return Conditions(self.stfm.condition(whole), None, self.neighbourhood(whole))

    def neighbourhood(self, whole: Tensor) -> Tensor | None:
        """Lines of whole centre frames (N, 2, h, w), of windows (N, 2T+1, 3, H, W); None with ``gain_radius`` 0."""
        if not self.config.gain_radius:
            return None
        with torch.autocast(whole.device.type, enabled=False):
            small = self.stfm.condition.shrink(self.centre(whole)[:, None].float())[:, 0]
            return neighbourhood_lines(level_of(small), self.config.gain_radius)

    def render(self, window: Tensor, conditions: Conditions, boxes: list[Box] | None = None) -> Tensor:
        """See :meth:`WindowNetwork.render`.

        Crops that begin and end between blocks are others than those of the frame. With ``conditions.kernels`` None
        the dynamic kernels come from the crops themselves.
        """
        return self.render_with_offsets(window, conditions, boxes)[0]

    def render_with_offsets(
        self, window: Tensor, conditions: Conditions, boxes: list[Box] | None = None
    ) -> tuple[Tensor, Tensor]:
        """:meth:`render`, and LDOE's offsets on the way, (N, F*k*k*2, h, w) in pixels."""
        sdr, correction, offsets = self._pixels(window, conditions, boxes)
        lines = conditions.lines
        if lines is not None:
            lines = upsample_crop(lines, (window.shape[-2], window.shape[-1]), boxes)
        return self.compose(sdr, correction.float(), lines), offsets

    def correction(self, window: Tensor, conditions: Conditions, boxes: list[Box] | None = None) -> Tensor:
        """What the head says before it is gated and added to the base: (N, 3, h, w), PQ units."""
        return self._pixels(window, conditions, boxes)[1]

    def _pixels(self, window: Tensor, conditions: Conditions, boxes: list[Box] | None) -> tuple[Tensor, Tensor, Tensor]:
        """The SDR frame that the base is taken of, the correction, and LDOE's offsets."""
        height, width = window.shape[-2:]
        window = whole_blocks(window, self.config.scale)
        aligned, offsets = self.dmfa.align(window.flatten(1, 2), conditions.kernels)
        spatial = upsample_crop(conditions.vectors.spatial, (aligned.shape[-2], aligned.shape[-1]), boxes)
        modulated = self.stfm(aligned, conditions.vectors, spatial)
        evidence = self.evidence(window)
        said = self.head(self.lkqe(self.with_evidence(modulated, evidence)))
        sdr, correction = (planes[..., :height, :width] for planes in self.pixels_of(said, window, evidence))
        return sdr, correction, offsets

    def evidence(self, window: Tensor) -> Tensor | None:
        """What blocks of windows (N, 2T+1, 3, H, W) show, see :func:`block_evidence`; None without blending."""
        return block_evidence(window, self.config.scale) if self.config.frame_blend else None

    def with_evidence(self, modulated: Tensor, evidence: Tensor | None) -> Tensor:
        """F_Modulated (N, C, h, w) and beside it, where the network is told, what the window's blocks show."""
        if evidence is None or not evidence_feature_channels(self.config):
            return modulated
        return torch.cat([modulated, evidence_features(evidence).to(modulated.dtype)], dim=1)

    def pixels_of(self, said: Tensor, window: Tensor, evidence: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the head says (N, 3*s*s + coarse, h, w) of windows (N, 2T+1, 3, H, W) of whole blocks, for every pixel.

        The SDR frame that the base is to be taken of, fp32, and the correction, (N, 3, H, W) each.
        """
        scale, pixels = self.config.scale, 3 * self.config.scale**2
        correction, coarse = shuffled(said[:, :pixels], scale), said[:, pixels:].float()
        if not coarse.shape[1]:
            return window[:, self.config.radius].float(), correction
        if evidence is not None:
            coarse = torch.cat([coarse, evidence[:, : pixel_evidence_channels(self.config)]], dim=1)
        fine = F.interpolate(coarse, scale_factor=scale, mode="bilinear", align_corners=False)
        return refined(self.config, correction, fine, window)


def coarse_channels(config: DSLNetConfig) -> int:
    """How many channels of the head are read bilinearly at every pixel."""
    return (MAP_CHANNELS if config.color_map else 0) + blend_channels(config)


def refined(config: DSLNetConfig, correction: Tensor, fine: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """SDR frame and correction (N, 3, H, W), with what coarse channels say at every pixel (N, C, H, W).

    Behind them lies, where frames are blended, what the frames' blocks show, read in the same way.
    """
    sdr, maps = window[:, config.radius].float(), MAP_CHANNELS if config.color_map else 0
    if config.frame_blend:
        said, evidence = fine[:, maps : coarse_channels(config)], fine[:, coarse_channels(config) :]
        sdr = blended(said, evidence, window, anchor=config.black_anchor)
    if config.color_map:
        correction = correction.float() + mapped_colors(fine[:, :maps], sdr)
    return sdr, correction


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

"""From HDR pixels to pixels that an SDR screen shows: tone mapping and false colour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import BT709_LUMA, convert, rgb_to_xyz
from vsdslnet.color.transfer import (
    GRAPHICS_WHITE_NITS,
    linear_to_srgb,
    nits_to_pq,
    pq_scalar,
    pq_to_nits,
)

__all__ = [
    "BANDS",
    "Band",
    "Picture",
    "false_colour_nits",
    "luminance_nits",
    "sdr_to_picture",
    "tone_map_for_sdr",
]

Picture = NDArray[np.uint8]

_KNEE_NITS = 60.0
_DEFAULT_PEAK_NITS = 1000.0


class Band(NamedTuple):
    """One band of the false-colour map: from ``nits`` up to the next band's; sRGB colour and its words."""

    nits: float
    colour: tuple[int, int, int]
    name: str


BANDS: tuple[Band, ...] = (
    Band(0.0, (0, 0, 0), "black"),
    Band(0.01, (46, 24, 84), "near black"),
    Band(0.5, (52, 66, 160), "deep shadow"),
    Band(3.0, (38, 130, 190), "shadow"),
    Band(10.0, (60, 150, 120), "low mid-tones"),
    Band(26.0, (120, 120, 120), "mid-grey"),
    Band(60.0, (190, 190, 190), "mid-tones, skin"),
    Band(100.0, (150, 195, 85), "above SDR white"),
    Band(203.0, (245, 225, 70), "above diffuse white"),
    Band(400.0, (240, 150, 45), "highlight"),
    Band(600.0, (225, 80, 40), "bright highlight"),
    Band(1000.0, (225, 40, 130), "at or above 1000"),
    Band(4000.0, (255, 190, 255), "above 4000"),
)
"""Bands of :func:`false_colour_nits`, by the landmarks of BT.2408: 26 (mid-grey), 100, 203, 1000 cd/m²."""

_PEAK_CODE_TOLERANCE = 0.998


def luminance_nits(pq: Tensor) -> Tensor:
    """PQ BT.2020 (..., 3, H, W) -> luminance Y in cd/m² (..., H, W)."""
    weights = rgb_to_xyz(Primaries.BT2020)[1].tolist()
    r, g, b = pq_to_nits(pq).unbind(-3)
    luminance: Tensor = weights[0] * r + weights[1] * g + weights[2] * b
    return luminance


def tone_map_for_sdr(pq: Tensor, *, peak_nits: float = _DEFAULT_PEAK_NITS) -> Picture:
    """PQ BT.2020 (3, H, W) -> 8-bit sRGB (H, W, 3) whose white is diffuse white (203 cd/m²).

    Up to 60 cd/m² light keeps its ratio to diffuse white; above, a hyperbola in PQ with slope 1 at
    its start leads ``peak_nits`` to white. The curve runs on the brightest channel and scales all
    three, so hues stay; colours outside BT.709 are mixed with their own grey until they fit.
    """
    nits = pq_to_nits(pq.float())
    brightest = nits.amax(dim=-3, keepdim=True)
    knee, top = pq_scalar(_KNEE_NITS), pq_scalar(max(peak_nits, GRAPHICS_WHITE_NITS))
    distance = (nits_to_pq(brightest) - knee).clamp(0, top - knee)
    bend = 1 / (pq_scalar(GRAPHICS_WHITE_NITS) - knee) - 1 / (top - knee)
    mapped = pq_to_nits(knee + distance / (1 + bend * distance))
    gain = torch.where(brightest > _KNEE_NITS, mapped / brightest.clamp(min=1e-6), torch.ones_like(brightest))
    light = convert(nits * gain / GRAPHICS_WHITE_NITS, Primaries.BT2020, Primaries.BT709)
    return _to_8_bit(linear_to_srgb(_into_gamut(light)))


def sdr_to_picture(sdr: Tensor) -> Picture:
    """SDR R'G'B' 0..1 (3, H, W) -> 8-bit (H, W, 3), code for code."""
    return _to_8_bit(sdr.float())


def false_colour_nits(pq: Tensor) -> Picture:
    """PQ BT.2020 (3, H, W) -> each pixel in the colour of its luminance's band (:data:`BANDS`)."""
    # Rounding must not push a picture that ends at 1000 cd/m² back into the band below.
    light = luminance_nits(pq.double()) / _PEAK_CODE_TOLERANCE
    edges = torch.tensor([band.nits for band in BANDS[1:]], dtype=torch.float64)
    colours = np.array([band.colour for band in BANDS], dtype=np.uint8)
    picture: Picture = colours[torch.bucketize(light, edges, right=True).cpu().numpy()]
    return picture


def _into_gamut(light: Tensor) -> Tensor:
    """Mix linear BT.709 with its own grey until no channel is negative, then clip at white."""
    r, g, b = light.unbind(-3)
    grey = (BT709_LUMA[0] * r + BT709_LUMA[1] * g + BT709_LUMA[2] * b).unsqueeze(-3).clamp(min=0)
    lowest = light.amin(dim=-3, keepdim=True)
    keep = torch.where(lowest < 0, grey / (grey - lowest).clamp(min=1e-9), torch.ones_like(grey))
    return (grey + (light - grey) * keep).clamp(0, 1)


def _to_8_bit(signal: Tensor) -> Picture:
    codes: Picture = (signal.clamp(0, 1) * 255).round().to(torch.uint8).movedim(-3, -1).cpu().numpy()
    return np.ascontiguousarray(codes)

"""Reference displays and primaries in plain numbers: for those who must not import torch, which takes seconds."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from vsdslnet.color.h273 import Primaries

__all__ = ["CHROMATICITIES", "D65_XY", "GRAPHICS_WHITE_NITS", "SDR_GAMMA", "rgb_to_rgb_matrix", "rgb_to_xyz_matrix"]

GRAPHICS_WHITE_NITS = 203.0
"""HDR reference (diffuse, graphics) white (BT.2408-7 table 1)."""

SDR_GAMMA = 2.4
"""Exponent of the SDR reference display with a black of 0 (BT.1886 annex 1)."""

D65_XY = (0.3127, 0.3290)
"""White of BT.709, BT.2020 and P3-D65 (H.273 table 2)."""

CHROMATICITIES: dict[Primaries, tuple[tuple[float, float], ...]] = {
    Primaries.BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    Primaries.ST432_1: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    Primaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
}
"""x, y of red, green and blue (H.273 table 2); all have the white D65."""


@cache
def rgb_to_xyz_matrix(primaries: Primaries) -> NDArray[np.float64]:
    """3x3 matrix from linear RGB to CIE XYZ with Y(white) = 1 (SMPTE RP 177)."""
    matrix = np.stack([_xyz(*xy) for xy in CHROMATICITIES[primaries]], axis=1)
    scaled: NDArray[np.float64] = matrix * np.linalg.solve(matrix, _xyz(*D65_XY))
    return scaled


@cache
def rgb_to_rgb_matrix(source: Primaries, target: Primaries) -> NDArray[np.float64]:
    """3x3 matrix between linear RGB of two primaries with the same white."""
    matrix: NDArray[np.float64] = np.linalg.solve(rgb_to_xyz_matrix(target), rgb_to_xyz_matrix(source))
    return matrix


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])

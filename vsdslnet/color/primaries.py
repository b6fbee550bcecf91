"""Matrices between RGB primaries, derived from their chromaticities in double precision."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from vsdslnet.color.h273 import BT709_LUMA, BT2020_LUMA, Primaries

__all__ = [
    "BT709_LUMA",
    "BT2020_LUMA",
    "CHROMATICITIES",
    "D65_XY",
    "apply_matrix",
    "convert",
    "rgb_to_rgb",
    "rgb_to_xyz",
]

D65_XY = (0.3127, 0.3290)
"""White of BT.709, BT.2020 and P3-D65 (H.273 table 2)."""

CHROMATICITIES: dict[Primaries, tuple[tuple[float, float], ...]] = {
    Primaries.BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    Primaries.ST432_1: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    Primaries.BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
}
"""x, y of red, green and blue (H.273 table 2); all have the white D65."""


@cache
def rgb_to_xyz(primaries: Primaries) -> Tensor:
    """3x3 double matrix from linear RGB to CIE XYZ with Y(white) = 1 (SMPTE RP 177)."""
    columns = [torch.tensor([x / y, 1.0, (1 - x - y) / y], dtype=torch.float64) for x, y in CHROMATICITIES[primaries]]
    matrix = torch.stack(columns, dim=1)
    x, y = D65_XY
    white = torch.tensor([x / y, 1.0, (1 - x - y) / y], dtype=torch.float64)
    scaled: Tensor = matrix * torch.linalg.solve(matrix, white)
    return scaled


@cache
def rgb_to_rgb(source: Primaries, target: Primaries) -> Tensor:
    """3x3 double matrix between linear RGB of two primaries with the same white."""
    matrix: Tensor = torch.linalg.solve(rgb_to_xyz(target), rgb_to_xyz(source))
    return matrix


def apply_matrix(matrix: Tensor, planes: Tensor) -> Tensor:
    """Multiply the three channels of (..., 3, H, W) by a 3x3 matrix, in the planes' own dtype.

    Written as nine multiplications instead of a matmul, so that no autocast lowers its precision.
    """
    return _multiplied(matrix.tolist(), planes)


def _multiplied(rows: list[list[float]], planes: Tensor) -> Tensor:
    r, g, b = planes.unbind(-3)
    return torch.stack([row[0] * r + row[1] * g + row[2] * b for row in rows], dim=-3)


@cache
def _rgb_to_rgb_rows(source: Primaries, target: Primaries) -> list[list[float]]:
    rows: list[list[float]] = rgb_to_rgb(source, target).tolist()
    return rows


def convert(linear: Tensor, source: Primaries, target: Primaries) -> Tensor:
    """Linear light (..., 3, H, W) from one set of primaries to another; out-of-gamut stays negative."""
    return _multiplied(_rgb_to_rgb_rows(source, target), linear)

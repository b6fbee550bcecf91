"""Matrices between RGB primaries, derived from their chromaticities in double precision."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from vsdslnet.color.h273 import BT709_LUMA, BT2020_LUMA, Primaries
from vsdslnet.color.references import CHROMATICITIES, D65_XY, rgb_to_rgb_matrix, rgb_to_xyz_matrix

__all__ = [
    "BT709_LUMA",
    "BT2020_LUMA",
    "CHROMATICITIES",
    "D65_XY",
    "Rows",
    "apply_matrix",
    "apply_rows",
    "convert",
    "luminance_of",
    "rgb_to_rgb",
    "rgb_to_xyz",
]

Rows = list[list[float]]
"""A 3x3 matrix as numbers."""


@cache
def rgb_to_xyz(primaries: Primaries) -> Tensor:
    """3x3 double matrix from linear RGB to CIE XYZ with Y(white) = 1 (SMPTE RP 177)."""
    return torch.from_numpy(rgb_to_xyz_matrix(primaries))


@cache
def rgb_to_rgb(source: Primaries, target: Primaries) -> Tensor:
    """3x3 double matrix between linear RGB of two primaries with the same white."""
    return torch.from_numpy(rgb_to_rgb_matrix(source, target))


def apply_matrix(matrix: Tensor, planes: Tensor) -> Tensor:
    """Multiply the three channels of (..., 3, H, W) by a 3x3 matrix, in the planes' own dtype.

    Written as nine multiplications instead of a matmul, so that no autocast lowers its precision.
    """
    return apply_rows(matrix.tolist(), planes)


def apply_rows(rows: Rows, planes: Tensor) -> Tensor:
    """:func:`apply_matrix` with the matrix as numbers, which lie nowhere: rows of three."""
    r, g, b = planes.unbind(-3)
    return torch.stack([row[0] * r + row[1] * g + row[2] * b for row in rows], dim=-3)


@cache
def _rgb_to_rgb_rows(source: Primaries, target: Primaries) -> Rows:
    rows: Rows = rgb_to_rgb(source, target).tolist()
    return rows


def convert(linear: Tensor, source: Primaries, target: Primaries) -> Tensor:
    """Linear light (..., 3, H, W) from one set of primaries to another; out-of-gamut stays negative."""
    return apply_rows(_rgb_to_rgb_rows(source, target), linear)


def luminance_of(linear: Tensor) -> Tensor:
    """Luminance (..., 1, H, W) of linear BT.2020 planes (..., 3, H, W)."""
    r, g, b = linear.unbind(-3)
    return (BT2020_LUMA[0] * r + BT2020_LUMA[1] * g + BT2020_LUMA[2] * b).unsqueeze(-3)

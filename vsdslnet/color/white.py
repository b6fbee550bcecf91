"""From one white to another, and to ACES2065-1, whose white is not D65."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.references import D65_XY, rgb_to_xyz_matrix

__all__ = ["AP0_CHROMATICITIES", "bradford", "bt2020_to_ap0_matrix", "xyz_of"]

AP0_CHROMATICITIES = ((0.73470, 0.26530), (0.00000, 1.00000), (0.00010, -0.07700), (0.32168, 0.33767))
"""x, y of red, green, blue and white of ACES2065-1 (SMPTE ST 2065-1, 4.1.1 and 4.1.2)."""

# Cone responses of CIE XYZ, as in ICC.1:2022 annex E.
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def xyz_of(xy: tuple[float, float]) -> NDArray[np.float64]:
    """CIE XYZ with Y = 1 of a chromaticity with y > 0."""
    return np.array([xy[0] / xy[1], 1.0, (1 - xy[0] - xy[1]) / xy[1]])


def bradford(source_xyz: NDArray[np.float64], target_xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """3x3 matrix from CIE XYZ under one white to the same colour under another (ICC.1:2022 annex E.3)."""
    gains = (_BRADFORD @ target_xyz) / (_BRADFORD @ source_xyz)
    adapted: NDArray[np.float64] = np.linalg.solve(_BRADFORD, gains[:, None] * _BRADFORD)
    return adapted


@cache
def bt2020_to_ap0_matrix() -> NDArray[np.float64]:
    """3x3 matrix from linear BT.2020 to linear ACES2065-1, white to white by Bradford, as ACES's own transforms do."""
    *primaries, white = AP0_CHROMATICITIES
    # As sums with x + y + z = 1: green's z is 0, and blue's y below it.
    columns = np.stack([[x, y, 1 - x - y] for x, y in primaries], axis=1)
    ap0_to_xyz = columns * np.linalg.solve(columns, xyz_of(white))
    adapted = bradford(xyz_of(D65_XY), xyz_of(white)) @ rgb_to_xyz_matrix(Primaries.BT2020)
    matrix: NDArray[np.float64] = np.linalg.solve(ap0_to_xyz, adapted)
    return matrix

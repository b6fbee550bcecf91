"""In how many bands of rows a frame is rendered: one, unless memory asks for more."""

from __future__ import annotations

import torch

from vsdslnet.inference.cuda.network import HALO_ROWS, DeviceNetwork

__all__ = ["MAX_BANDS", "Band", "bands_of", "least_bands"]

Band = tuple[int, int]
MAX_BANDS = 64
_BUDGET_BYTES = 3 << 30
"""What one frame's activations may take: cards have little more than four, and other programs use them too."""
_SHARE = 0.7
"""Part of the free memory they may take."""
_MAPS = 6
"""Feature maps alive at once where most are: input, planes, sum, products, and what a convolution asks for."""
_ROW_STEP = 8


def least_bands(*, height: int, width: int, network: DeviceNetwork, free_bytes: int) -> int:
    """The fewest bands whose activations should fit; a guess that the first frame corrects."""
    item = 4 if network.dtype != torch.float16 else 2
    per_row = width * network.config.features * item * _MAPS
    budget = min(_BUDGET_BYTES, int(free_bytes * _SHARE))
    for bands in range(1, MAX_BANDS + 1):
        rows = -(-height // bands) + (2 * HALO_ROWS if bands > 1 else 0)
        if rows * per_row <= budget:
            return bands
    return MAX_BANDS


def bands_of(height: int, bands: int) -> list[Band]:
    """At most so many bands (top, bottom), about equal, each beginning at a multiple of 8."""
    rows = -(-height // bands)
    rows = -(-rows // _ROW_STEP) * _ROW_STEP
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]

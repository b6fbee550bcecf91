"""In how many bands of rows a frame is rendered: one, unless memory asks for more."""

from __future__ import annotations

import torch

from vsdslnet.inference.cuda.network import BAND_STEP, DeviceNetwork, halo_rows

__all__ = ["MAX_BANDS", "Band", "bands_of", "least_bands"]

Band = tuple[int, int]
MAX_BANDS = 64
_BUDGET_BYTES = 3 << 30
"""What one frame's activations may take: cards have little more than four, and other programs use them too."""
_SHARE = 0.7
"""Part of the free memory they may take."""
_MAPS = 5
"""Feature maps alive at once where most are: modulated, input, planes, products, and what a convolution asks for."""


def least_bands(*, height: int, width: int, network: DeviceNetwork, free_bytes: int) -> int:
    """The fewest bands whose activations should fit; a guess that the first frame corrects."""
    item = 4 if network.dtype != torch.float16 else 2
    scale, halo = network.config.scale, halo_rows(network.config)
    per_row = -(-width // scale) * network.config.features * item * _MAPS // scale
    budget = min(_BUDGET_BYTES, int(free_bytes * _SHARE))
    for bands in range(1, MAX_BANDS + 1):
        rows = -(-height // bands) + min(bands - 1, 2) * halo  # of two, each has one beside it
        if rows * per_row <= budget:
            return bands
    return MAX_BANDS


def bands_of(height: int, bands: int) -> list[Band]:
    """At most so many bands (top, bottom), about equal, each beginning at a multiple of ``BAND_STEP``."""
    rows = -(-height // bands)
    rows = -(-rows // BAND_STEP) * BAND_STEP
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]

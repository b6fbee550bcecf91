"""PQ (SMPTE ST 2084) of plain numbers: for those who must not import torch, which takes seconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["C1", "C2", "C3", "M1", "M2", "PQ_MAX_NITS", "nits_of_codes", "pq_scalar"]

PQ_MAX_NITS = 10_000.0
"""Light at PQ signal 1.0 (BT.2100 table 4)."""

# BT.2100-2 table 4.
M1 = 2610 / 16384
M2 = 2523 / 4096 * 128
C1 = 3424 / 4096
C2 = 2413 / 4096 * 32
C3 = 2392 / 4096 * 32


def pq_scalar(nits: float) -> float:
    """Light in cd/m² -> PQ signal 0..1 in double precision (inverse EOTF, BT.2100 table 4)."""
    y = max(nits / PQ_MAX_NITS, 0.0) ** M1
    return ((C1 + C2 * y) / (1 + C3 * y)) ** M2 if nits > 0 else 0.0


def nits_of_codes(bits: int = 16) -> NDArray[np.float64]:
    """cd/m² of every full-range PQ code of so many bits (EOTF, BT.2100 table 4)."""
    signal = np.arange(1 << bits) / ((1 << bits) - 1)
    e = signal ** (1 / M2)
    return PQ_MAX_NITS * (np.maximum(e - C1, 0) / (C2 - C3 * e)) ** (1 / M1)

"""Hybrid Log-Gamma (BT.2100) of plain numbers: for those who must not import torch, which takes seconds."""

from __future__ import annotations

from math import log2, log10

__all__ = ["HLG_A", "HLG_B", "HLG_C", "system_gamma"]

# BT.2100-2 table 5.
HLG_A = 0.17883277
HLG_B = 1 - 4 * HLG_A
HLG_C = 0.55991073


def system_gamma(peak_nits: float) -> float:
    """Exponent of the OOTF on a display of this peak: 1.2 at 1000 cd/m².

    BT.2100-2 table 5, note 5f, from 400 to 2000 cd/m²; beyond them the extended formula of BT.2390-11, section 6.2.
    """
    if 400 <= peak_nits <= 2000:
        return 1.2 + 0.42 * log10(peak_nits / 1000)
    return float(1.2 * 1.111 ** log2(peak_nits / 1000))

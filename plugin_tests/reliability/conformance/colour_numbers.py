"""Curves and colour differences against colour-science, and against the figures of the standards."""

from __future__ import annotations

import colour
import numpy as np
import torch
from torch import Tensor

from plugin_tests.reliability.figures import Figure, Options, at_most, exactly
from vsdslnet.color.ictcp import delta_e_itp
from vsdslnet.color.transfer import nits_to_pq, pq_scalar, pq_to_nits

__all__ = ["ICTCP_METHOD", "delta_e_error", "measure", "planes", "pq_error_codes", "random_light", "wrong_codes"]

ICTCP_METHOD = "ITU-R BT.2100-2 PQ"
# PQ 10-bit limited-range codes (BT.2100 table 9) of BT.2408's landmarks, in cd/m².
TEN_BIT = {0: 64, 26: 397, 100: 509, 203: 573, 1000: 723, 4000: 855, 10_000: 940}
# 16 bits, limited and full range.
SIXTEEN_BIT = {203: (36_652, 38_055), 1000: (46_246, 49_271)}
_ALL_CODES = torch.arange(65_536, dtype=torch.float64) / 65_535


def measure(options: Options) -> list[Figure]:
    """All codes, the table, a million colours."""
    colours = 50_000 if options.quick else 1_000_000
    worst = max(pq_error_codes(dtype) for dtype in (torch.float32, torch.float64))
    figures = len(TEN_BIT) + 2 * len(SIXTEEN_BIT)
    return [
        at_most("all 65,536 PQ codes against colour-science, both ways", worst, 1, "code of 16 bits"),
        exactly(f"the {figures} PQ codes of the standards' landmarks, wrong", len(wrong_codes()), 0),
        at_most(f"dE_ITP of {colours:,} colours against colour-science", delta_e_error(colours), 1e-4, "dE_ITP"),
    ]


def pq_error_codes(dtype: torch.dtype) -> float:
    """Largest error over all 16-bit codes, in codes, of either direction computed in ``dtype``."""
    oracle_nits = colour.models.eotf_ST2084(_ALL_CODES.numpy())
    back = nits_to_pq(torch.from_numpy(oracle_nits).to(dtype)).double()
    # Ours the other way, judged by the oracle's signal: light has no unit of "codes" itself.
    ours_nits = pq_to_nits(_ALL_CODES.to(dtype)).double().numpy()
    signal = torch.from_numpy(colour.models.eotf_inverse_ST2084(ours_nits))
    return max(float((found - _ALL_CODES).abs().max()) * 65_535 for found in (back, signal))


def wrong_codes() -> list[str]:
    """Landmarks whose code is not the standard's, in fp64."""
    wrong = [f"{nits} nits, 10 bits" for nits, code in TEN_BIT.items() if limited_code(pq_scalar(nits), 10) != code]
    for nits, (limited, full) in SIXTEEN_BIT.items():
        signal = float(nits_to_pq(torch.tensor(nits, dtype=torch.float64)))
        if limited_code(signal, 16) != limited:
            wrong.append(f"{nits} nits, 16 bits limited")
        if round(signal * 65_535) != full:
            wrong.append(f"{nits} nits, 16 bits full")
    return wrong


def limited_code(signal: float, bits: int) -> int:
    """BT.2100 table 9."""
    return round((219 * signal + 16) * 2 ** (bits - 8))


def delta_e_error(count: int) -> float:
    """Largest error of dE_ITP over so many pairs of colours, half of them near each other."""
    a, b = random_light(count, 1), random_light(count, 2)
    b[::2] = a[::2] * 1.01
    oracle = colour.difference.delta_E_ITP(
        colour.RGB_to_ICtCp(a, method=ICTCP_METHOD, L_p=10_000),
        colour.RGB_to_ICtCp(b, method=ICTCP_METHOD, L_p=10_000),
    )
    return float(np.abs(delta_e_itp(planes(a), planes(b))[0].numpy() - oracle).max())


def random_light(count: int, seed: int) -> np.ndarray:
    """Colours (count, 3) in cd/m², even over PQ codes, so dark and bright both are there."""
    codes = np.random.default_rng(seed).integers(1, 65_536, (count, 3)) / 65_535
    light: np.ndarray = colour.models.eotf_ST2084(codes)
    return light


def planes(colours: np.ndarray) -> Tensor:
    """(count, 3) -> (3, 1, count)."""
    return torch.from_numpy(np.ascontiguousarray(colours.T))[:, None, :]

"""How the measured base was measured: levels of real pairs, and the curve fitted to them.

For each SDR level the light that the master has there, as the median over the picture's pixels; of several pictures
of a source, and of several sources, the geometric mean. So neither a large picture nor a diligent photographer
outweighs the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.color.measured import MEASURED, MEASURED_PEAK_NITS, ToneCurve, curve_nits, level_of
from vsdslnet.color.primaries import luminance_of
from vsdslnet.color.transfer import nits_to_pq, pq_scalar, pq_to_nits

__all__ = [
    "ELSEWHERE_NITS",
    "ELSEWHERE_SOURCES",
    "LEVELS",
    "Levels",
    "fit_curve",
    "levels_of",
    "mean_levels",
    "source_levels",
]

LEVELS = (40, 64, 96, 128, 160, 192, 208, 224, 240, 248)
"""SDR levels (8-bit codes) that are measured."""

ELSEWHERE_NITS = (6.2, 13.5, 31.0, 62.0, 113.0, 226.0, 386.0, 630.0, 988.0, 1366.0)
"""Geometric means of the masters' medians at ``LEVELS`` over 19 pairs of which only these figures are at hand."""
ELSEWHERE_SOURCES = 19
"""Five phones and fourteen editors."""

_HALF_WIDTH_CODES = 2.0
_FEWEST_PIXELS = 200
_STEPS = 60

Levels = NDArray[np.float64]
"""cd/m² at each of ``LEVELS``; NaN where a picture has too few pixels of a level."""


def levels_of(sdr: Tensor, pq: Tensor) -> Levels:
    """SDR R'G'B' 0..1 (3, H, W) and its master, PQ BT.2020 (3, H, W): the median light at each level."""
    codes = 255 * level_of(sdr)
    nits = luminance_of(pq_to_nits(pq))
    found = np.full(len(LEVELS), np.nan)
    for k, level in enumerate(LEVELS):
        here = nits[(codes - level).abs() <= _HALF_WIDTH_CODES]
        if len(here) >= _FEWEST_PIXELS:
            found[k] = float(here.median())
    return found


def mean_levels(sources: Mapping[str, Sequence[Levels]]) -> tuple[Levels, Levels]:
    """Geometric means over sources (each the geometric mean of its pictures), those elsewhere among them.

    Also their standard errors in stops, from the spread of the sources at hand.
    """
    own = np.array([source_levels(levels) for levels in sources.values()])
    known = ~np.isnan(own)
    total = ELSEWHERE_SOURCES * np.log2(ELSEWHERE_NITS) + np.where(known, own, 0).sum(axis=0)
    counts = ELSEWHERE_SOURCES + known.sum(axis=0)
    deviation = np.array([_deviation(column[there]) for column, there in zip(own.T, known.T, strict=True)])
    return 2 ** (total / counts), deviation / np.sqrt(counts)


def _deviation(values: Levels) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def source_levels(pictures: Sequence[Levels]) -> Levels:
    """The mean of one source's pictures, as log2 of cd/m²; NaN where none of them has a level."""
    stops = np.log2(np.array(pictures))
    known = ~np.isnan(stops)
    total = np.where(known, stops, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def fit_curve(sources: Mapping[str, Sequence[Levels]]) -> ToneCurve:
    """The curve nearest in PQ to the mean levels (Levenberg-Marquardt); the toe stays as it is."""
    wanted, _ = mean_levels(sources)
    target = nits_to_pq(torch.from_numpy(wanted)).clamp(max=pq_scalar(MEASURED_PEAK_NITS))
    x = torch.tensor(LEVELS, dtype=torch.float64) / 255

    def missed(parameters: Tensor) -> Tensor:
        return nits_to_pq(curve_nits(x, _curve(parameters))) - target

    here = torch.tensor(MEASURED[:4], dtype=torch.float64)
    damping, error = 1e-3, float(missed(here).square().sum())
    for _ in range(_STEPS):
        slopes = torch.func.jacrev(missed)(here)
        normal = slopes.T @ slopes
        step = torch.linalg.solve(normal + damping * normal.diagonal().diag(), -slopes.T @ missed(here))
        there = here + step
        ahead = float(missed(there).square().sum())
        if ahead < error:
            here, error, damping = there, ahead, damping / 3
        else:
            damping *= 4
    return _curve(here.tolist())


def _curve(parameters: Any) -> ToneCurve:
    """Four numbers, or a tensor of them to differentiate by, and the toe."""
    shadow, highlight, centre, width = parameters
    return ToneCurve(shadow, highlight, centre, width, MEASURED.toe)

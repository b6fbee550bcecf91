"""The knee and the anchors of a shot: Report ITU-R BT.2390's tone curve in the shape that ST 2094-40 knows.

BT.2390 (section 5.4.1, "EETF") leaves light alone up to a knee and leads it to the display's peak by a Hermite spline,
both in PQ. ST 2094-40's curve is a line up to its knee, in linear light of the shot's and the display's peak: the same
line. What lies above it is a Bézier curve of ten degrees, whose anchors are those that differ least from the spline in
PQ, among those that keep the curve rising and ever flatter.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
import torch

from vsdslnet.color.transfer import nits_to_pq, pq_to_nits
from vsdslnet.hdr10plus.metadata import ToneCurve

__all__ = ["pq_nits", "pq_signal", "tone_curve"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_ANCHORS = 9
_SAMPLES = 256
_KNEE_STEPS, _ANCHOR_STEPS = 4095, 1023
_STRAIGHT = ToneCurve(
    knee=(0, 0), anchors=tuple(round(_ANCHOR_STEPS * place / (_ANCHORS + 1)) for place in range(1, _ANCHORS + 1))
)


@lru_cache(maxsize=256)
def tone_curve(shot_nits: float, target_nits: float) -> ToneCurve:
    """The curve of a shot whose brightest channel reaches ``shot_nits``, for a display that reaches ``target_nits``.

    A straight line (the shot as it is) if the display is bright enough.
    """
    if shot_nits <= target_nits:
        return _STRAIGHT
    knee_pq = max(0.0, 1.5 * pq_signal(target_nits) / pq_signal(shot_nits) - 0.5)  # of the shot's peak in PQ
    knee_nits = pq_nits(knee_pq * pq_signal(shot_nits))
    knee = (round(_KNEE_STEPS * knee_nits / shot_nits), round(_KNEE_STEPS * knee_nits / target_nits))
    x, y = knee[0] / _KNEE_STEPS, knee[1] / _KNEE_STEPS
    # Light above the knee, evenly in PQ, where eyes see differences of one size.
    light = pq_nits(np.linspace(pq_signal(max(x * shot_nits, 1e-3)), pq_signal(shot_nits), _SAMPLES))
    wanted = (_eetf(light, shot_nits, target_nits) / target_nits - y) / (1 - y)
    bernstein = _bernstein((light / shot_nits - x) / (1 - x))
    step = _pq_slope(_eetf(light, shot_nits, target_nits))  # makes differences of light those of PQ
    anchors = _concave_anchors(bernstein * step[:, None], wanted * step)
    return ToneCurve(knee=knee, anchors=tuple(round(_ANCHOR_STEPS * float(anchor)) for anchor in anchors))


def _concave_anchors(bernstein: Array, wanted: Array) -> Array:
    """The anchors that lead nearest to the wanted ordinates, and never turn down or upwards: (9,), from 0 to 1.

    Such control points are a mixture of lines from 0 that bend into 1 at the first, second, ... or last of them; so
    are their curves. What is sought are the shares, at least 0, of sum 1.
    """
    places = np.arange(_ANCHORS + 2)
    bent = np.stack([np.minimum(places / bend, 1) for bend in places[1:]], -1)
    heavy = 1e3 * float(np.abs(bernstein).max())  # an equation that outweighs the others: the shares' sum
    shares = _non_negative(np.vstack([bernstein @ bent, np.full(_ANCHORS + 1, heavy)]), np.append(wanted, heavy))
    return (bent @ (shares / shares.sum()))[1:-1]


def _non_negative(matrix: Array, aim: Array) -> Array:
    """Least squares without negative unknowns (Lawson and Hanson, Solving Least Squares Problems, chapter 23)."""
    found = np.zeros(matrix.shape[1])
    used = np.zeros(matrix.shape[1], bool)
    for _ in range(10 * matrix.shape[1]):
        gain = matrix.T @ (aim - matrix @ found)
        gain[used] = -np.inf
        if gain.max() <= 1e-10 * np.abs(matrix).max() ** 2:
            break
        used[gain.argmax()] = True
        while True:
            tried = np.zeros_like(found)
            tried[used] = np.linalg.lstsq(matrix[:, used], aim, rcond=None)[0]
            below = used & (tried <= 0)
            if not below.any():
                break
            step = (found[below] / (found[below] - tried[below])).min()
            found += step * (tried - found)
            used &= found > 1e-12
        found = tried
    return found


def _eetf(nits: Array, shot_nits: float, target_nits: float) -> Array:
    """BT.2390's curve for a display with a black of 0: cd/m² of the shot -> cd/m² of the display."""
    e1 = pq_signal(nits) / pq_signal(shot_nits)
    peak = pq_signal(target_nits) / pq_signal(shot_nits)
    knee = max(0.0, 1.5 * peak - 0.5)
    t = ((e1 - knee) / (1 - knee)).clip(0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * peak
    shown: Array = pq_nits(np.where(e1 < knee, e1, spline) * pq_signal(shot_nits))
    return shown


def _bernstein(t: Array) -> Array:
    """The basis of ten degrees at places from 0 to 1: (places, 11)."""
    degree = _ANCHORS + 1
    return np.stack([comb(degree, k) * t**k * (1 - t) ** (degree - k) for k in range(degree + 1)], -1)


def pq_signal(nits: Any) -> Any:
    """PQ signal of light in cd/m²."""
    return nits_to_pq(torch.as_tensor(nits, dtype=torch.float64)).numpy()


def pq_nits(signal: Any) -> Any:
    """Light in cd/m² of PQ signal."""
    return pq_to_nits(torch.as_tensor(signal, dtype=torch.float64)).numpy()


def _pq_slope(nits: Array) -> Array:
    """dPQ/dnits, by differences."""
    slope: Array = (pq_signal(nits * 1.001 + 1e-6) - pq_signal(nits)) / (nits * 0.001 + 1e-6)
    return slope

"""ACES 1.0's tone scales: what a film rendered by it for 1000 cd/m² looks like in its SDR version.

Both versions come from one rendering (OCES) through the tone scale of their output transform, so the SDR side follows
from the HDR one. Curves and constants: Academy S-2014-003 and the reference CTL, ``segmented_spline_c5``/``_c9``
(quadratic B-splines of log10 over log10), ODT.Academy.P3D60_ST2084_1000nits and ODT.Academy.Rec709_100nits_dim.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.color.hdr_to_sdr import into_bt709
from vsdslnet.color.primaries import BT709_LUMA
from vsdslnet.color.transfer import linear_to_bt1886
from vsdslnet.training.simulation.curves import lookup, tabulate
from vsdslnet.training.simulation.grade import luma_of

__all__ = ["aces_sdr", "tone_scale"]

Floats = NDArray[np.float64]

_DIM_SURROUND = 0.9811
_CINEMA_NITS, _CINEMA_BLACK_NITS = 48.0, 0.02


class _Spline(NamedTuple):
    """``low`` and ``high``: coefficients below and above the middle; points (x, y); the ends' slopes."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    first: tuple[float, float]
    middle: tuple[float, float]
    last: tuple[float, float]
    slope_low: float
    slope_high: float


_RENDERING = _Spline(
    low=(-4.0, -4.0, -3.1573765773, -0.4852499958, 1.8477324706, 1.8477324706),
    high=(-0.7185482425, 2.0810307172, 3.6681241237, 4.0, 4.0, 4.0),
    first=(0.18 * 2.0**-15, 1e-4),
    middle=(0.18, 4.8),
    last=(0.18 * 2.0**18, 1e4),
    slope_low=0.0,
    slope_high=0.0,
)


def tone_scale(x: Floats, spline: _Spline) -> Floats:
    """A segmented spline of the CTL: light -> light, both positive."""
    log_x = np.log10(np.maximum(x, 1e-10))
    first, middle, last = (np.log10(point) for point in (spline.first, spline.middle, spline.last))
    below = _quadratic(log_x, first[0], middle[0], spline.low)
    above = _quadratic(log_x, middle[0], last[0], spline.high)
    log_y = np.where(log_x < middle[0], below, above)
    log_y = np.where(log_x <= first[0], spline.slope_low * (log_x - first[0]) + first[1], log_y)
    log_y = np.where(log_x >= last[0], spline.slope_high * (log_x - last[0]) + last[1], log_y)
    return np.asarray(10**log_y)


def _quadratic(x: Floats, start: float, end: float, coefficients: tuple[float, ...]) -> Floats:
    """A uniform quadratic B-spline with knots from ``start`` to ``end``."""
    segments = len(coefficients) - 3 if len(coefficients) > 6 else 3
    place = np.clip(segments * (x - start) / (end - start), 0, segments - 1e-9)
    j = place.astype(int)
    t = place - j
    c = np.array(coefficients)
    return np.asarray(0.5 * (c[j] * (1 - t) ** 2 + c[j + 1] * (1 + 2 * t - 2 * t**2) + c[j + 2] * t**2))


_SDR_LOW = (-1.6989700043, -1.6989700043, -1.4779, -1.2291, -0.8648, -0.448, 0.00518, 0.4511080334)
_SDR_HIGH = (0.5154386965, 0.8470437783, 1.1358, 1.3802, 1.5197, 1.5985, 1.6467, 1.6746091357)
_HDR_LOW = (-4.9706219331, -3.0293780669, -2.1262, -1.5105, -1.0578, -0.4668, 0.11938, 0.7088134201)
_HDR_HIGH = (0.8089132070, 1.1910867930, 1.5683, 1.9483, 2.3083, 2.6384, 2.8595, 2.9872608805)


@cache
def _output(nits: int) -> _Spline:
    """The tone scale of the 48 cd/m² (SDR) or the 1000 cd/m² output transform over OCES."""
    sdr = nits == 48
    stops = (-6.5, 0.0, 6.5) if sdr else (-12.0, 0.0, 10.0)
    dark, grey, bright = (float(tone_scale(np.array(0.18 * 2.0**stop), _RENDERING)) for stop in stops)
    return _Spline(
        low=(*_SDR_LOW, 0.9113744414, 0.9113744414) if sdr else (*_HDR_LOW, 1.2911865799, 1.2911865799),
        high=(*_SDR_HIGH, 1.6878733390, 1.6878733390) if sdr else (*_HDR_HIGH, 3.0127391195, 3.0127391195),
        first=(dark, 0.02 if sdr else 1e-4),
        middle=(grey, 4.8 if sdr else 10.0),
        last=(bright, 48.0 if sdr else 1000.0),
        slope_low=0.0 if sdr else 3.0,
        slope_high=0.04 if sdr else 0.06,
    )


@cache
def _table() -> Tensor:
    """HDR light -> SDR light relative to white, a channel."""
    oces = 10 ** np.linspace(-5, 4, 8192)
    hdr = tone_scale(oces, _output(1000))
    sdr = (tone_scale(oces, _output(48)) - _CINEMA_BLACK_NITS) / (_CINEMA_NITS - _CINEMA_BLACK_NITS)
    rising = np.maximum.accumulate(hdr) + 1e-12 * np.arange(len(hdr))
    return tabulate(lambda nits: np.interp(nits, rising, sdr.clip(0, 1)))


def aces_sdr(nits: Tensor) -> Tensor:
    """BT.2020 light (frames, 3, H, W) of a film rendered by ACES for 1000 cd/m² -> its SDR signal 0..1, BT.709."""
    light = into_bt709(lookup(_table(), nits), desaturate=0.5)
    luma = luma_of(light, BT709_LUMA).clamp(min=1e-6)
    return linear_to_bt1886((light * luma.pow(_DIM_SURROUND - 1)).clamp(0, 1))

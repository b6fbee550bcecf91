"""The measured base: how real masters' light follows SDR luminance, as one smooth curve with five numbers.

BT.2446 method A and the inverse tone mappings like it say what light an SDR level *should* have. The pairs say what it
has: photographs that were made as SDR and as HDR by the same camera or the same person (gain maps), 32 of them, of two
kinds. ``scripts/evaluate.py base`` measures and fits; docs/training.md has the levels and how sure they are.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.neighbourhood import surrounding
from vsdslnet.color.primaries import convert, luminance_of
from vsdslnet.color.transfer import (
    GRAPHICS_WHITE_NITS,
    linear_to_srgb,
    nits_to_pq,
    pq_scalar,
    pq_to_nits,
    srgb_to_linear,
)

__all__ = [
    "MEASURED",
    "MEASURED_PEAK_NITS",
    "ToneCurve",
    "capped",
    "curve_nits",
    "expand",
    "level_of",
    "measured_nits",
    "measured_pq",
]

MEASURED_PEAK_NITS = 1000.0
"""Light of SDR white, and of the brightest channel of any colour."""

_DARKEST = 1e-8
"""Luminance below which a gain is not asked for: a thousandth of the toe's own end."""

_LIT_LEVEL = 0.05
"""SDR level below which no shoulder changes, and no light is so little that dividing by it would lose digits."""

_GAIN_STEPS = 4096
"""SDR levels that a table of gains divides 0..1 into."""

_END_SLOPE = 0.3
"""Of the shoulder at SDR white, as a share of the slope before it: the last 8-bit steps stay steps."""


class ToneCurve(NamedTuple):
    """What distinguishes one grade's curve from another's; see :func:`curve_nits`.

    ``shadow_stops``     gain of shadows and mid-tones over the SDR picture with white at 203 cd/m², in stops.
    ``highlight_stops``  how much more the highlights get, far above ``centre``.
    ``centre``           SDR level (0..1) where half of that is reached.
    ``width``            SDR levels over which it comes, as the logistic function's scale.
    ``toe``              SDR level at which the gain is halved towards black; above 0.
    """

    shadow_stops: float
    highlight_stops: float
    centre: float
    width: float
    toe: float


MEASURED = ToneCurve(shadow_stops=0.429, highlight_stops=3.6, centre=0.916, width=0.126, toe=10 / 255)
"""Fitted to the medians of 32 real pairs, each source weighing the same (docs/training.md)."""


def curve_nits(level: Tensor, curve: ToneCurve = MEASURED) -> Tensor:
    """SDR level 0..1 of a grey -> its light, 0..1000 cd/m², strictly monotone; of any shape.

    The light of the SDR grey as a screen with white at 203 cd/m² shows it (IEC 61966-2-1: what the pairs were made
    for) times a gain of ``shadow_stops`` that rises by ``highlight_stops`` like a logistic function. What would pass
    1000 cd/m² bends below it, in PQ, along BT.2390-8 clause 5.4.1's cubic, but with some slope left at its end.
    """
    x = level.clamp(0, 1)
    nits = _bounded_nits(_unbounded_nits(x, curve), curve)
    return torch.where(x > 0, nits, torch.zeros_like(nits))


def _bounded_nits(unbounded_nits: Tensor, curve: ToneCurve) -> Tensor:
    """What the curve gives without a peak -> what it gives within 1000 cd/m²."""
    raw = nits_to_pq(unbounded_nits)
    top, peak = _white_pq(curve), pq_scalar(MEASURED_PEAK_NITS)
    nits = pq_to_nits(_shoulder(raw, top, peak) if top > peak else raw * (peak / top))
    return nits.clamp(max=MEASURED_PEAK_NITS)


def _unbounded_nits(x: Tensor, curve: ToneCurve) -> Tensor:
    return GRAPHICS_WHITE_NITS * srgb_to_linear(x) * _toe(x, curve) * _raised(x, curve)


def _raised(x: Tensor, curve: ToneCurve) -> Tensor:
    """The gain over the SDR picture, without toe and shoulder."""
    rise = torch.sigmoid((x - curve.centre) / curve.width)
    return (math.log(2) * (curve.shadow_stops + curve.highlight_stops * rise)).exp()


def _toe(x: Tensor, curve: ToneCurve) -> Tensor:
    return x * x / (x * x + curve.toe**2)


def _gain_nits(around: Tensor, curve: ToneCurve) -> Tensor:
    """Light that SDR white gets in the neighbourhood of a level 0..1: the curve's gain without its toe.

    A processor reads it from a table: to 2e-6 of itself, nearer than fp32 comes by the formula, in a tenth of the time.
    Devices, and what ONNX files run on, have no use for that, and fp16 could not count its steps.
    """
    if around.device.type != "cpu" or torch.onnx.is_in_onnx_export():
        return _formula_gain_nits(around, curve)
    table, rise = _gain_table(curve, around.dtype)
    place = around * _GAIN_STEPS
    step = place.detach().int()
    below, more = (values.index_select(0, step.flatten()).view_as(around) for values in (table, rise))
    return torch.addcmul(below, more, place - step)


def _formula_gain_nits(around: Tensor, curve: ToneCurve) -> Tensor:
    lit = _unbounded_nits(around.clamp(min=_LIT_LEVEL), curve)
    return GRAPHICS_WHITE_NITS * _raised(around, curve) * (_bounded_nits(lit, curve) / lit)


@cache
def _gain_table(curve: ToneCurve, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The gain at evenly spaced levels, and what is added from each to the next."""
    with torch.inference_mode(False), torch.no_grad():
        gain = _formula_gain_nits(torch.linspace(0, 1, _GAIN_STEPS + 1, dtype=torch.float64), curve)
        return gain.to(dtype), F.pad(gain.diff(), (0, 1)).to(dtype)


@cache
def _white_pq(curve: ToneCurve) -> float:
    """Where white would come out without a shoulder, as PQ: a number, found once, wherever the picture lies."""
    return float(nits_to_pq(_unbounded_nits(torch.ones((), dtype=torch.float64), curve)).detach())


def _shoulder(pq: Tensor, top: float, peak: float) -> Tensor:
    """Identity up to BT.2390's knee, then a Hermite cubic that takes ``top`` to ``peak``."""
    knee = 1.5 * peak - 0.5 * top
    room = top - knee
    t = ((pq - knee) / room).clamp(0, 1)
    t2, t3 = t * t, t * t * t
    start = (2 * t3 - 3 * t2 + 1) * knee + (t3 - 2 * t2 + t) * room
    end = (3 * t2 - 2 * t3) * peak + (t3 - t2) * (_END_SLOPE * room)
    return torch.where(pq < knee, pq, start + end)


def expand(sdr: Tensor, curve: ToneCurve = MEASURED, lines: Tensor | None = None) -> Tensor:
    """SDR R'G'B' 0..1 BT.709 (..., 3, H, W) -> BT.2020 light 0..1000 cd/m² whose luminance follows ``curve``.

    Driven by the luminance of the SDR colour, read as the level of the grey that is as bright, so all three channels
    scale alike: hue and saturation stay. A colour whose brightest channel would pass 1000 cd/m² is scaled down to it.
    Of six drivers (luma, luminance, their means with the brightest channel, that channel) it was nearest to real pairs,
    and so were colours decoded as sRGB, which the pairs are, against powers from 2.0 to 2.4.

    With ``lines`` (..., 2, H, W; :mod:`vsdslnet.color.neighbourhood`) the gain is that of the level around a pixel. An
    even area comes out the same.
    """
    linear = _light_of(sdr)
    luminance = luminance_of(linear)
    if lines is not None:
        level = linear_to_srgb(luminance)
        around = surrounding(level, lines)
        # A star in a black sky stays lit by its own level, and what is dark among lighter things keeps its detail.
        toe = _toe(torch.maximum(level, around), curve)
        return capped(linear * (toe * _gain_nits(around, curve)))
    return capped(linear * (curve_nits(linear_to_srgb(luminance), curve) / luminance.clamp(min=_DARKEST)))


def capped(nits: Tensor) -> Tensor:
    """Colours (..., 3, H, W) with a channel above 1000 cd/m² scaled down to it."""
    scaled = nits * (MEASURED_PEAK_NITS / nits.amax(dim=-3, keepdim=True).clamp(min=MEASURED_PEAK_NITS))
    return scaled.clamp(max=MEASURED_PEAK_NITS)  # what rounding leaves above it


def measured_nits(sdr: Tensor, lines: Tensor | None = None) -> Tensor:
    """SDR R'G'B' 0..1 BT.709 (..., 3, H, W) -> BT.2020 light 0..1000 cd/m² as real masters have it in the middle."""
    return expand(sdr, lines=lines)


def measured_pq(sdr: Tensor, lines: Tensor | None = None) -> Tensor:
    """:func:`measured_nits` as PQ signal: the base that DSLNet corrects."""
    return nits_to_pq(measured_nits(sdr, lines))


def level_of(sdr: Tensor) -> Tensor:
    """SDR R'G'B' 0..1 BT.709 (..., 3, H, W) -> the level (..., 1, H, W) of the grey that is as bright."""
    return linear_to_srgb(luminance_of(_light_of(sdr)))


def _light_of(sdr: Tensor) -> Tensor:
    """SDR R'G'B' 0..1 BT.709 as a screen with white at 1 shows it, in linear BT.2020."""
    return convert(srgb_to_linear(sdr.clamp(0, 1)), Primaries.BT709, Primaries.BT2020)

"""Formulas that take SDR to HDR: the plain conversion and the analytic base under the network."""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import BT2020_LUMA, convert
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS, bt1886_to_linear, linear_to_bt1886, nits_to_pq

__all__ = ["BASE_PEAK_NITS", "bt2446a_nits", "bt2446a_pq", "plain_nits", "plain_pq"]

BASE_PEAK_NITS = 1000.0
"""Where BT.2446 method A puts SDR white (BT.2446-1 clause 4.2)."""

_KR, _KG, _KB = BT2020_LUMA
_KNEE_CODE = 70.0


def plain_nits(sdr: Tensor) -> Tensor:
    """SDR R'G'B' 0..1 BT.709 (..., 3, H, W) -> BT.2020 light, SDR white at 203 cd/m² (BT.2408-7 clause 5.1).

    What zimg does with ``nominal_luminance=203``: BT.1886 display light, primaries, nothing else.
    """
    linear = bt1886_to_linear(sdr.clamp(0, 1))
    return GRAPHICS_WHITE_NITS * convert(linear, Primaries.BT709, Primaries.BT2020)


def plain_pq(sdr: Tensor) -> Tensor:
    """:func:`plain_nits` as PQ signal."""
    return nits_to_pq(plain_nits(sdr))


def _expand_luma(luma: Tensor) -> Tensor:
    """SDR luma 0..1 -> HDR luma 0..1 of a 1000 cd/m² gamma-2.4 signal (BT.2446-1 table 4)."""
    code = 255 * luma
    low = code.clamp(1e-6, _KNEE_CODE)
    high = code.clamp(min=_KNEE_CODE)
    low_value = low.pow(1.8712e-5 * low * low - 2.7334e-3 * low + 1.3141)
    high_value = high.pow(2.8305e-6 * high * high - 7.4622e-4 * high + 1.2528)
    # The report's two pieces miss each other by 7e-5 at the knee, downwards: not allowed on a grey ramp.
    at_knee = _KNEE_CODE ** (1.8712e-5 * _KNEE_CODE**2 - 2.7334e-3 * _KNEE_CODE + 1.3141)
    value = torch.where(code <= _KNEE_CODE, low_value, high_value.clamp(min=at_knee))
    return torch.where(code > 0, value, torch.zeros_like(value)) / 1000


def bt2446a_nits(sdr: Tensor) -> Tensor:
    """SDR R'G'B' 0..1 BT.709 (..., 3, H, W) -> BT.2020 light 0..1000 cd/m² (BT.2446-1 method A, clause 4.2).

    The report starts from BT.2020 SDR, so BT.709 is taken there in linear light first.
    """
    linear = convert(bt1886_to_linear(sdr.clamp(0, 1)), Primaries.BT709, Primaries.BT2020)
    r, g, b = linear_to_bt1886(linear).unbind(-3)
    luma = _KR * r + _KG * g + _KB * b
    hdr_luma = _expand_luma(luma)
    gain = 1.075 * hdr_luma / luma.clamp(min=1e-6)
    # R' = Y' + 1.4746 Cr' with Cr' = gain (R' - Y') / 1.4746, and so on: the scale factors cancel for
    # red and blue, and green follows from the luma equation.
    hdr_r = hdr_luma + gain * (r - luma)
    hdr_b = hdr_luma + gain * (b - luma)
    hdr_g = hdr_luma - (_KR * gain * (r - luma) + _KB * gain * (b - luma)) / _KG
    return BASE_PEAK_NITS * bt1886_to_linear(torch.stack([hdr_r, hdr_g, hdr_b], dim=-3).clamp(0, 1))


def bt2446a_pq(sdr: Tensor) -> Tensor:
    """:func:`bt2446a_nits` as PQ signal: the base that DSLNet corrects."""
    return nits_to_pq(bt2446a_nits(sdr))

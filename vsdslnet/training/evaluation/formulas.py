"""The baselines: published formulas that take SDR to HDR without learning, pixel by pixel.

Each takes SDR R'G'B' 0..1 BT.709 (..., 3, H, W) and returns PQ BT.2020 of the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.ictcp import ictcp_to_nits, nits_to_ictcp
from vsdslnet.color.measured import MEASURED, ToneCurve, expand, level_of, measured_pq
from vsdslnet.color.neighbourhood import neighbourhood_lines
from vsdslnet.color.primaries import convert, rgb_to_xyz
from vsdslnet.color.sdr_to_hdr import bt2446a_pq, plain_nits, plain_pq
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS, bt1886_to_linear, nits_to_pq, pq_scalar
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.stfm import averaged_down

__all__ = ["FORMULAS", "bt2446c_nits", "bt2446c_pq", "neighbourhood_base_nits", "spline_curve", "spline_pq"]

_GAIN_RADIUS = 3
"""As in the shipped networks' configs."""
_SDR_WHITE_NITS = 100.0
_SPLINE_PEAK_NITS = 1000.0

# BT.2446-1 clause 6.1.4. The inflection lies at 80 % SDR signal; the report prints it as 58.5, with which
# its two pieces would miss each other by 0.035 cd/m².
_K1, _K2, _K3, _K4 = 0.83802, 15.09968, 0.74204, 78.99439
_INFLECTION_NITS = 100 * 0.8**2.4 / _K1

# libplacebo's default tone mapping constants (its tone_mapping.h).
_KNEE_DEFAULT = 0.4
_KNEE_ADAPTATION = 0.4
_SLOPE_TUNING = 1.5
_SLOPE_OFFSET = 0.2
_SPLINE_CONTRAST = 0.5


def bt2446c_nits(sdr: Tensor, *, crosstalk: float = 0.04) -> Tensor:
    """BT.2446-1 method C turned round: its clause 6.1's curve and crosstalk inverted, SDR white at 100 cd/m².

    SDR white comes out at 333 cd/m²: the method keeps the room above for super-whites. The optional
    chroma correction, which has no inverse in the report, is left out.
    """
    linear = convert(bt1886_to_linear(sdr.clamp(0, 1)), Primaries.BT709, Primaries.BT2020)
    mixed = _mix(_SDR_WHITE_NITS * linear, crosstalk)
    weights = rgb_to_xyz(Primaries.BT2020)[1].tolist()
    r, g, b = mixed.unbind(-3)
    luminance = (weights[0] * r + weights[1] * g + weights[2] * b).unsqueeze(-3)
    above = (((luminance - _K4) / _K2).exp() + _K3) * _INFLECTION_NITS
    below = luminance / _K1
    hdr = torch.where(luminance < _K1 * _INFLECTION_NITS, below, above)
    expanded = mixed * (hdr / luminance.clamp(min=1e-6))
    # Undoing (1 - 3a) I + a 1 needs the same shape with -a / (1 - 3a).
    return _mix(expanded, -crosstalk / (1 - 3 * crosstalk)).clamp(min=0)


def _mix(rgb: Tensor, share: float) -> Tensor:
    """Crosstalk between the channels (clause 6.1.2): (1 - 3a) of itself and ``share`` of all three."""
    return (1 - 3 * share) * rgb + share * rgb.sum(dim=-3, keepdim=True)


def bt2446c_pq(sdr: Tensor) -> Tensor:
    """:func:`bt2446c_nits` as PQ signal."""
    return nits_to_pq(bt2446c_nits(sdr))


def spline_curve(signal: Tensor, *, peak_nits: float = _SPLINE_PEAK_NITS) -> Tensor:
    """libplacebo's "spline" as inverse tone mapping: PQ of 0..203 cd/m² -> PQ of 0..``peak_nits``.

    A pivot in the lower mid-tones moves part of the way towards the same place in the wider range;
    below it runs a parabola, above it a cubic whose curvature vanishes at the peak, and both meet
    the pivot with one slope. Constants are libplacebo's defaults, black is 0 on both sides.
    """
    top_in, top_out = pq_scalar(GRAPHICS_WHITE_NITS), pq_scalar(peak_nits)
    pivot_in = _KNEE_DEFAULT * top_in
    pivot_out = pivot_in + _KNEE_ADAPTATION * (_KNEE_DEFAULT * top_out - pivot_in)
    tuning = _SLOPE_TUNING * (top_in / top_out - 1)
    tuning = min(max(tuning, _SLOPE_OFFSET), 1 + _SLOPE_OFFSET)
    slope = math.pow(pivot_out / pivot_in, (1 - _SPLINE_CONTRAST) * tuning)
    x = signal.clamp(0, top_in) - pivot_in
    toe = (slope * pivot_in - pivot_out) / pivot_in**2
    low = (toe * x + slope) * x
    room, rise = top_in - pivot_in, top_out - pivot_out
    bend = (rise - slope * room) / (2 * room**3)
    high = ((-bend * x + 3 * bend * room) * x + slope) * x
    return pivot_out + torch.where(x > 0, high, low)


def spline_pq(sdr: Tensor) -> Tensor:
    """libplacebo's spline on the intensity I, chroma held back as libplacebo does where I rises.

    libplacebo works in IPT with its own crosstalk; ICtCp, BT.2100's relative of it, stands in.
    """
    ictcp = nits_to_ictcp(plain_nits(sdr))
    intensity = ictcp[..., :1, :, :]
    raised = spline_curve(intensity).clamp(min=1e-6)
    before, after = _hull(intensity).clamp(min=1e-6), _hull(raised)
    chroma = torch.minimum(intensity / raised, after / before) * ictcp[..., 1:, :, :]
    return nits_to_pq(ictcp_to_nits(torch.cat([raised, chroma], dim=-3)).clamp(0, _SPLINE_PEAK_NITS))


def _hull(intensity: Tensor) -> Tensor:
    """libplacebo's cubic for how much room for chroma the gamut has at an intensity."""
    return ((intensity - 6) * intensity + 9) * intensity


def neighbourhood_base_nits(sdr: Tensor, curve: ToneCurve = MEASURED) -> Tensor:
    """The measured base of a whole picture (3, H, W), its gain following the neighbourhood, as networks have it."""
    config = DSLNetConfig()
    small = averaged_down(sdr[None, None], config.condition_pixels)[:, 0]
    lines = neighbourhood_lines(level_of(small), _GAIN_RADIUS)
    return expand(sdr, curve, F.interpolate(lines, size=sdr.shape[-2:], mode="bilinear", align_corners=False)[0])


FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "plain 203 nits": plain_pq,
    "measured base": measured_pq,
    "BT.2446-A": bt2446a_pq,
    "BT.2446-C": bt2446c_pq,
    "libplacebo spline": spline_pq,
}
"""The formulas by the names they carry in tables."""

"""Published formulas that take HDR to SDR: BT.2446 methods A and C, the BT.2390 EETF."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import BT709_LUMA, BT2020_LUMA, convert, rgb_to_xyz
from vsdslnet.color.transfer import bt1886_to_linear, linear_to_bt1886, nits_to_pq, pq_scalar, pq_to_nits

__all__ = ["bt2020_signal_to_bt709", "bt2390_eetf", "bt2446a_sdr", "bt2446c_sdr", "into_bt709"]

_KR, _KG, _KB = BT2020_LUMA


def into_bt709(linear: Tensor, *, desaturate: float = 0.0) -> Tensor:
    """Linear BT.2020 (..., 3, H, W) -> BT.709 without negative light.

    ``desaturate`` from 0 (clip each channel) to 1 (mix with the colour's own grey until nothing is
    negative, so that luminance and hue survive).
    """
    rgb = convert(linear, Primaries.BT2020, Primaries.BT709)
    if desaturate > 0:
        r, g, b = rgb.unbind(-3)
        luma = (BT709_LUMA[0] * r + BT709_LUMA[1] * g + BT709_LUMA[2] * b).unsqueeze(-3).clamp(min=0)
        lowest = rgb.amin(dim=-3, keepdim=True)
        keep = torch.where(lowest < 0, luma / (luma - lowest).clamp(min=1e-9), torch.ones_like(luma))
        rgb = luma + (rgb - luma) * (1 - desaturate * (1 - keep))
    return rgb.clamp(min=0)


def bt2446a_sdr(nits: Tensor, *, peak_nits: float = 1000.0) -> Tensor:
    """BT.2020 light (..., 3, H, W) -> SDR signal 0..1 of BT.2020 primaries (BT.2446-1 clause 4.1, method A)."""
    signal = linear_to_bt1886((nits / peak_nits).clamp(0, 1))
    r, g, b = signal.unbind(-3)
    luma = _KR * r + _KG * g + _KB * b
    rho_hdr = 1 + 32 * (peak_nits / 10_000) ** (1 / 2.4)
    rho_sdr = 1 + 32 * (100 / 10_000) ** (1 / 2.4)
    p = torch.log(1 + (rho_hdr - 1) * luma) / math.log(rho_hdr)
    c = torch.where(
        p <= 0.7399,
        1.0770 * p,
        torch.where(p < 0.9909, -1.1510 * p * p + 2.7811 * p - 0.6302, 0.5 * p + 0.5),
    )
    sdr_luma = (torch.pow(rho_sdr, c) - 1) / (rho_sdr - 1)
    f = sdr_luma / (1.1 * luma.clamp(min=1e-6))
    cb, cr = f * (b - luma) / 1.8814, f * (r - luma) / 1.4746
    sdr_luma = sdr_luma - (0.1 * cr).clamp(min=0)
    red, blue = sdr_luma + 1.4746 * cr, sdr_luma + 1.8814 * cb
    green = (sdr_luma - _KR * red - _KB * blue) / _KG
    return torch.stack([red, green, blue], dim=-3).clamp(0, 1)


def bt2446c_sdr(nits: Tensor, *, crosstalk: float = 0.04) -> Tensor:
    """BT.2020 light (..., 3, H, W) -> SDR light relative to 100 cd/m², BT.2020, up to 1.18 (BT.2446-1 clause 6.1).

    Method C without its optional chroma correction; ``crosstalk`` is its alpha (0..0.33).
    """
    mixed = _crosstalk(nits, crosstalk)
    weights = rgb_to_xyz(Primaries.BT2020)[1].tolist()
    r, g, b = mixed.unbind(-3)
    luminance = (weights[0] * r + weights[1] * g + weights[2] * b).unsqueeze(-3)
    k1, k2, k3, k4, inflection = 0.83802, 15.09968, 0.74204, 78.99439, 58.5
    above = k2 * torch.log((luminance * (k1 / inflection)).clamp(min=1.0) - k3) + k4
    mapped = torch.where(luminance * k1 < inflection, k1 * luminance, above)
    sdr = mixed * (mapped / luminance.clamp(min=1e-6))
    # The inverse matrix of the same form: alpha' = -alpha / (1 - 3 alpha).
    return _crosstalk(sdr, -crosstalk / (1 - 3 * crosstalk)).clamp(min=0) / 100


def _crosstalk(rgb: Tensor, alpha: float) -> Tensor:
    return (1 - 3 * alpha) * rgb + alpha * rgb.sum(dim=-3, keepdim=True)


def bt2390_eetf(nits: Tensor, *, source_nits: float, target_nits: float) -> Tensor:
    """Light 0..``source_nits`` -> 0..``target_nits``, element by element (BT.2390-8 clause 5.4.1, black at 0)."""
    top = pq_scalar(source_nits)
    e1 = (nits_to_pq(nits) / top).clamp(0, 1)
    max_lum = min(pq_scalar(target_nits) / top, 1.0)
    ks = 1.5 * max_lum - 0.5
    if ks >= 1:
        return nits.clamp(0, source_nits)
    t = ((e1 - ks) / (1 - ks)).clamp(0, 1)
    t2, t3 = t * t, t * t * t
    spline = (2 * t3 - 3 * t2 + 1) * ks + (t3 - 2 * t2 + t) * (1 - ks) + (-2 * t3 + 3 * t2) * max_lum
    return pq_to_nits(torch.where(e1 < ks, e1, spline) * top)


def bt2020_signal_to_bt709(signal: Tensor) -> Tensor:
    """SDR signal of BT.2020 primaries -> of BT.709, in linear light, clipped."""
    return linear_to_bt1886(into_bt709(bt1886_to_linear(signal)).clamp(0, 1))

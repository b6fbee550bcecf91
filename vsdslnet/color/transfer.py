"""Transfer functions: PQ (SMPTE ST 2084 / BT.2100), BT.1886, sRGB, HLG."""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.color.hlg import HLG_A, HLG_B, HLG_C, system_gamma
from vsdslnet.color.pq import C1, C2, C3, M1, M2, PQ_MAX_NITS, pq_scalar
from vsdslnet.color.primaries import luminance_of
from vsdslnet.color.references import GRAPHICS_WHITE_NITS, SDR_GAMMA

__all__ = [
    "GRAPHICS_WHITE_NITS",
    "PQ_MAX_NITS",
    "SDR_GAMMA",
    "bt1886_to_linear",
    "hlg_to_nits",
    "hlg_to_scene",
    "linear_to_bt1886",
    "linear_to_srgb",
    "nits_to_pq",
    "pq_scalar",
    "pq_to_nits",
    "srgb_to_linear",
]


def _power(positive: Tensor, exponent: float) -> Tensor:
    """Above 0 only. ``Tensor.pow`` takes up to three times as long (AVX2) and is hardly nearer in fp32."""
    return (positive.log2() * exponent).exp2()


def nits_to_pq(nits: Tensor) -> Tensor:
    """Light (cd/m², 0..10000; negative counts as 0) -> PQ signal 0..1 (inverse EOTF, BT.2100 table 4)."""
    # The power's slope at 0 is infinite: a floor of a 16-bit code keeps gradients finite, and below it is black.
    y = _power((nits / PQ_MAX_NITS).clamp(min=1e-12), M1)
    # c1 + c2 y over 1 + c3 y, as its distance from 1 (c1 = c3 - c2 + 1): fp32 then holds 16 bits.
    signal = (M2 * torch.log1p((C3 - C2) * (1 - y) / (1 + C3 * y))).exp()
    return torch.where(nits > 1e-8, signal, torch.zeros_like(signal))


def pq_to_nits(signal: Tensor) -> Tensor:
    """PQ signal 0..1 -> light in cd/m² (EOTF, BT.2100 table 4)."""
    e = _power(signal.clamp(min=1e-7, max=1.0), 1 / M2)
    return PQ_MAX_NITS * _power(((e - C1).clamp(min=0) / (C2 - C3 * e)).clamp(min=1e-12), 1 / M1)


def bt1886_to_linear(signal: Tensor) -> Tensor:
    """SDR signal 0..1 -> display light relative to white, black at 0 (BT.1886 annex 1); negative -> 0."""
    return signal.clamp(min=0).pow(SDR_GAMMA)


def linear_to_bt1886(light: Tensor) -> Tensor:
    """Display light relative to white -> SDR signal (inverse of BT.1886); negative -> 0."""
    return torch.where(light > 0, light.clamp(min=1e-12).pow(1 / SDR_GAMMA), torch.zeros_like(light))


def srgb_to_linear(signal: Tensor) -> Tensor:
    """sRGB signal -> light relative to white (IEC 61966-2-1 clause 5.2); negative -> 0."""
    signal = signal.clamp(min=0)
    return torch.where(signal <= 0.04045, signal / 12.92, _power((signal + 0.055) / 1.055, 2.4))


def linear_to_srgb(light: Tensor) -> Tensor:
    """Light relative to white -> sRGB signal (IEC 61966-2-1 clause 5.3); negative -> 0."""
    light = light.clamp(min=0)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * _power(light.clamp(min=1e-6), 1 / 2.4) - 0.055)


def hlg_to_scene(signal: Tensor) -> Tensor:
    """HLG signal 0..1 -> scene light 0..1 (inverse OETF, BT.2100 table 5)."""
    signal = signal.clamp(min=0)
    return torch.where(signal <= 0.5, signal.square() / 3, (((signal - HLG_C) / HLG_A).exp() + HLG_B) / 12)


def hlg_to_nits(signal: Tensor, *, peak_nits: float = 1000.0) -> Tensor:
    """HLG signal of BT.2020 (..., 3, H, W), 0..1 -> light in cd/m² of a display with this peak (BT.2100 table 5)."""
    scene = hlg_to_scene(signal)
    return peak_nits * luminance_of(scene).clamp(min=1e-9).pow(system_gamma(peak_nits) - 1) * scene

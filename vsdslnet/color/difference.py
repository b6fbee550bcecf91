"""How close an HDR picture is to its reference, in a figure: PSNR of the PQ signal, dE_ITP, exposure.

Both pictures are BT.2020 PQ R'G'B' (3, H, W), 0..1; both are clipped at :data:`CLIP_NITS` first, so that a reference
mastered brighter than 1000 cd/m² does not punish a converter that stops there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vsdslnet.color.ictcp import delta_e_itp
from vsdslnet.color.primaries import luminance_of
from vsdslnet.color.transfer import pq_scalar, pq_to_nits

__all__ = ["CLIP_NITS", "clip_pq", "delta_e_mean", "exposure_shift_stops", "psnr_db", "ratio_stops"]

CLIP_NITS = 1000.0
"""Peak of the masters we make and measure against."""

_EXPOSURE_FLOOR_NITS = 1.0


def clip_pq(pq: Tensor) -> Tensor:
    """Within [0, PQ(1000 cd/m²)]."""
    return pq.clamp(0, pq_scalar(CLIP_NITS))


def psnr_db(pq: Tensor, reference_pq: Tensor) -> float:
    """PSNR of the PQ signal, all three channels, against a full scale of 1.0; identical pictures: inf."""
    error = (clip_pq(pq) - clip_pq(reference_pq)).square().mean(dtype=torch.float64)
    return -10 * math.log10(float(error)) if error > 0 else math.inf


def delta_e_mean(pq: Tensor, reference_pq: Tensor) -> float:
    """Mean dE_ITP (BT.2124) over all pixels; 1 is a just noticeable difference."""
    nits, reference_nits = pq_to_nits(clip_pq(pq)), pq_to_nits(clip_pq(reference_pq))
    return float(delta_e_itp(nits, reference_nits).mean(dtype=torch.float64))


def exposure_shift_stops(pq: Tensor, reference_pq: Tensor) -> float:
    """Median of log2(Y / Y_reference) where the reference is above 1 cd/m²; NaN where it never is.

    Positive: too bright. A median over pixels, so that a few highlights don't decide it.
    """
    ratio, reference = ratio_stops(pq, reference_pq)
    chosen = ratio[reference > _EXPOSURE_FLOOR_NITS]
    return float(chosen.median()) if chosen.numel() else math.nan


def ratio_stops(pq: Tensor, reference_pq: Tensor) -> tuple[Tensor, Tensor]:
    """log2(Y / Y_reference) and Y_reference; 0.01 cd/m² is as black as it gets."""
    reference = _luminance(reference_pq)
    light = _luminance(pq)
    return (light.clamp(min=0.01) / reference.clamp(min=0.01)).log2(), reference


def _luminance(pq: Tensor) -> Tensor:
    return luminance_of(pq_to_nits(clip_pq(pq)))[..., 0, :, :]

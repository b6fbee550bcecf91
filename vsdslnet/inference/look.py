"""What is done with the network's picture: strength, peak, saturation. Each is monotone."""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.color.ictcp import ictcp_to_nits, nits_to_ictcp
from vsdslnet.color.sdr_to_hdr import BASE_PEAK_NITS, plain_pq
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS, nits_to_pq, pq_scalar, pq_to_nits
from vsdslnet.options import LookOptions

__all__ = ["apply_look", "retarget_peak", "scale_saturation"]


def apply_look(network_pq: Tensor, sdr: Tensor, look: LookOptions) -> Tensor:
    """The network's PQ (3, H, W) and the SDR frame it came from -> PQ within [0, PQ(peak)]."""
    pq = network_pq.clamp(0, pq_scalar(BASE_PEAK_NITS))
    if look.peak_nits != BASE_PEAK_NITS:
        pq = nits_to_pq(retarget_peak(pq_to_nits(pq), look.peak_nits))
    if look.strength < 1:
        pq = torch.lerp(plain_pq(sdr), pq, look.strength)
    if look.saturation != 1:
        pq = nits_to_pq(scale_saturation(pq_to_nits(pq), look.saturation))
    return pq.clamp(0, pq_scalar(look.peak_nits))


def retarget_peak(nits: Tensor, peak_nits: float) -> Tensor:
    """Light whose brightest possible value is 1000 cd/m² -> the same with ``peak_nits`` there.

    Works on the brightest channel of each pixel and scales all three alike, so hue and saturation
    stay. Up to diffuse white (203) nothing moves; above it a curve in PQ with slope 1 at diffuse
    white leads to the peak: a quadratic where that stays monotone, else one power of the distance.
    """
    brightest = nits.amax(dim=-3, keepdim=True)
    low, top, target = pq_scalar(GRAPHICS_WHITE_NITS), pq_scalar(BASE_PEAK_NITS), pq_scalar(peak_nits)
    x = ((nits_to_pq(brightest) - low) / (top - low)).clamp(0, 1)
    reach = (target - low) / (top - low)
    # x - (1 - reach) x^p has slope 1 at 0, ends at reach and is monotone while p (1 - reach) <= 1.
    power = 2.0 if reach >= 0.5 else 1 / (1 - reach)
    curve = low + (top - low) * (x - (1 - reach) * x.pow(power))
    gain = pq_to_nits(curve) / brightest.clamp(min=1e-6)
    return torch.where(brightest > GRAPHICS_WHITE_NITS, nits * gain, nits)


def scale_saturation(nits: Tensor, factor: float) -> Tensor:
    """Scale Ct and Cp of ICtCp at constant I; what leaves BT.2020 is clipped at 0."""
    ictcp = nits_to_ictcp(nits)
    scale = torch.tensor([1.0, factor, factor], dtype=nits.dtype, device=nits.device).view(3, 1, 1)
    return ictcp_to_nits(ictcp * scale).clamp(min=0)

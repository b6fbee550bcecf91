"""What is done with the network's picture: look, white, peak, strength, saturation. Each is monotone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vsdslnet.color.bases import base_pq
from vsdslnet.color.ictcp import ictcp_to_nits, nits_to_ictcp
from vsdslnet.color.measured import capped
from vsdslnet.color.primaries import luminance_of
from vsdslnet.color.sdr_to_hdr import BASE_PEAK_NITS, plain_nits, plain_pq
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS, nits_to_pq, pq_scalar, pq_to_nits
from vsdslnet.looks import NODES, Look, read_look
from vsdslnet.options import LookOptions

__all__ = ["apply_look", "regrade", "retarget", "scale_saturation"]

_REGRADE_STEPS = 2049


def apply_look(network_pq: Tensor, sdr: Tensor, look: LookOptions) -> Tensor:
    """The network's PQ (3, H, W) and the SDR frame it came from -> PQ within [0, PQ(peak)]."""
    pq = network_pq.clamp(0, pq_scalar(BASE_PEAK_NITS))
    if look.look is not None:
        pq = regrade(pq, read_look(look.look))
    if (look.peak_nits, look.white_nits) != (BASE_PEAK_NITS, GRAPHICS_WHITE_NITS):
        pq = nits_to_pq(retarget(pq_to_nits(pq), look.peak_nits, look.white_nits))
    if look.strength < 1:
        pq = torch.lerp(_plain(sdr, look.white_nits), pq, look.strength)
    if look.saturation != 1:
        pq = nits_to_pq(scale_saturation(pq_to_nits(pq), look.saturation))
    return pq.clamp(0, pq_scalar(look.peak_nits))


def regrade(pq: Tensor, look: Look) -> Tensor:
    """A network's picture, PQ (3, H, W) of at most 1000 cd/m², as another grade would have it.

    The luminance that the network's base gives a grey becomes the look's for that grey, in between along a straight
    line in PQ; all three channels scale alike. So it is one curve for all pictures: greys keep their order, and what
    the network did in space and time stays. A colour whose brightest channel would pass 1000 cd/m² is scaled down.
    """
    nits = pq_to_nits(pq)
    luminance = luminance_of(nits)
    table = _regrade_table(look).to(pq.device)
    place = nits_to_pq(luminance) * ((len(table) - 1) / pq_scalar(BASE_PEAK_NITS))
    first = place.clamp(0, len(table) - 2).floor().long()
    wanted = pq_to_nits(torch.lerp(table[first], table[first + 1], (place - first).clamp(0, 1)))
    out = capped(nits * (wanted / luminance.clamp(min=1e-6)))
    return nits_to_pq(out if look.saturation == 1 else capped(scale_saturation(out, look.saturation)))


@lru_cache(maxsize=16)
def _regrade_table(look: Look) -> Tensor:
    """PQ of the look's light where the base has PQ 0 to that of 1000 cd/m², evenly spaced."""
    levels = torch.linspace(0, 1, 8 * _REGRADE_STEPS, dtype=torch.float64)
    base = base_pq(levels.expand(3, 1, -1), look.base)[0, 0].cummax(dim=0).values.numpy()
    own = np.interp(levels.numpy(), np.linspace(0, 1, NODES), look.nodes_pq)
    places = np.linspace(0, pq_scalar(BASE_PEAK_NITS), _REGRADE_STEPS)
    return torch.from_numpy(np.interp(places, base, own)).float()


def _plain(sdr: Tensor, white_nits: float) -> Tensor:
    if white_nits == GRAPHICS_WHITE_NITS:
        return plain_pq(sdr)
    return nits_to_pq(plain_nits(sdr) * (white_nits / GRAPHICS_WHITE_NITS))


def retarget(nits: Tensor, peak_nits: float, white_nits: float = GRAPHICS_WHITE_NITS) -> Tensor:
    """Light whose diffuse white is 203 cd/m² and whose brightest value is 1000 -> ``white_nits`` and ``peak_nits``.

    Works on the brightest channel of each pixel and scales all three alike, so hue and saturation stay. Up to diffuse
    white it is a factor (none at 203, so nothing moves there); above it a curve in PQ goes on with the slope that the
    factor has at diffuse white and leads to the peak: a quadratic where that stays monotone, else one power of the
    distance.
    """
    brightest = nits.amax(dim=-3, keepdim=True)
    low, top = pq_scalar(GRAPHICS_WHITE_NITS), pq_scalar(BASE_PEAK_NITS)
    start, end = pq_scalar(white_nits), pq_scalar(peak_nits)
    x = ((nits_to_pq(brightest) - low) / (top - low)).clamp(0, 1)
    rise = (top - low) * _slope_at_white(white_nits)
    reach = (end - start) / rise
    # x - (1 - reach) x^p has slope 1 at 0, ends at reach and is monotone while p (1 - reach) <= 1.
    power = 2.0 if reach >= 0.5 else 1 / (1 - reach)
    curve = start + rise * (x - (1 - reach) * x.pow(power))
    gain = pq_to_nits(curve) / brightest.clamp(min=1e-6)
    below = nits if white_nits == GRAPHICS_WHITE_NITS else nits * (white_nits / GRAPHICS_WHITE_NITS)
    return torch.where(brightest > GRAPHICS_WHITE_NITS, nits * gain, below)


def _slope_at_white(white_nits: float) -> float:
    """How fast PQ rises with the PQ of light that is scaled by white / 203, where that light is diffuse white."""
    if white_nits == GRAPHICS_WHITE_NITS:
        return 1.0
    step = 1e-4
    ends = [[pq_scalar(nits * (1 + sign * step)) for sign in (-1, 1)] for nits in (white_nits, GRAPHICS_WHITE_NITS)]
    (a, b), (c, d) = ends
    return (b - a) / (d - c)


def scale_saturation(nits: Tensor, factor: float) -> Tensor:
    """Scale Ct and Cp of ICtCp at constant I; what leaves BT.2020 is clipped at 0."""
    ictcp = nits_to_ictcp(nits)
    scale = torch.tensor([1.0, factor, factor], dtype=nits.dtype, device=nits.device).view(3, 1, 1)
    return ictcp_to_nits(ictcp * scale).clamp(min=0)

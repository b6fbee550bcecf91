"""A frame's light as HDR10 measures it (CTA-861.3 annex P): of each pixel the brightest channel, in cd/m².

MaxCLL is the largest of all pixels of all frames, MaxFALL the largest mean of a frame. The network's frames are
measured here; native code measures what LUTs and the plain conversion give, and VapourSynth's filters, with
:func:`~vsdslnet.color.pq.nits_of_codes`, what is delivered. A test holds that all agree.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.color.transfer import pq_to_nits

__all__ = ["max_and_sum_nits", "measure_light_nits"]


def max_and_sum_nits(pq: Tensor) -> tuple[float, float]:
    """Maximum and sum over the pixels of PQ R'G'B' (3, H, W), or of some of its rows."""
    brightest = pq_to_nits(pq.amax(dim=-3))
    return float(brightest.max()), float(brightest.sum(dtype=torch.float64))


def measure_light_nits(pq: Tensor) -> tuple[float, float]:
    """Maximum and mean over the pixels of PQ R'G'B' (3, H, W)."""
    most, total = max_and_sum_nits(pq)
    return most, total / pq[0].numel()

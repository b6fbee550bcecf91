"""How close an HDR picture is to its reference: every measure takes plain PQ tensors.

Both pictures are BT.2020 PQ R'G'B' (3, H, W), 0..1; both are clipped at :data:`CLIP_NITS` first, so
that a reference mastered brighter than 1000 cd/m² does not punish a converter that stops there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from torch import Tensor

from vsdslnet.color.difference import (
    CLIP_NITS,
    clip_pq,
    delta_e_mean,
    exposure_shift_stops,
    psnr_db,
    ratio_stops,
)
from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import convert
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS, nits_to_pq, pq_to_nits
from vsdslnet.views.pixels import luminance_nits

__all__ = [
    "CLIP_NITS",
    "FIDELITY",
    "TEN_BIT_STEPS",
    "clip_pq",
    "delta_e_mean",
    "exposure_shift_stops",
    "fidelity",
    "highlight_error_stops",
    "luminance_codes",
    "mean_by_name",
    "psnr_db",
    "share_outside_bt709",
    "sr_sim",
]

TEN_BIT_STEPS = 876.0
"""10-bit limited-range codes between black (64) and PQ signal 1.0 (940), BT.2100 table 9."""

FIDELITY: dict[str, str] = {
    "psnr_db": "PSNR dB",
    "sr_sim": "SR-SIM",
    "delta_e_itp": "dE_ITP",
    "exposure_stops": "exposure, stops",
    "highlight_error_stops": "highlight error, stops",
    "highlight_shift_stops": "highlight shift, stops",
    "outside_bt709": "outside BT.709",
    "reference_outside_bt709": "same of reference",
}
"""Names of what :func:`fidelity` measures and their headings."""

_EXPOSURE_FLOOR_NITS = 1.0
_OUTSIDE_TOLERANCE = 0.01


def luminance_codes(pq: Tensor) -> Tensor:
    """PQ BT.2020 (..., 3, H, W) -> PQ of luminance in steps of a 10-bit limited-range code, black at 0."""
    return TEN_BIT_STEPS * nits_to_pq(luminance_nits(pq))


def sr_sim(pq: Tensor, reference_pq: Tensor) -> float:
    """SR-SIM (Zhang and Li 2012) of the PQ signal's luma, 0..1, 1 is identical; needs piq."""
    from piq import srsim  # type: ignore[import-untyped]

    score = srsim(clip_pq(pq)[None].float(), clip_pq(reference_pq)[None].float(), data_range=1.0)
    return float(score)


def highlight_error_stops(pq: Tensor, reference_pq: Tensor) -> tuple[float, float]:
    """Mean |log2(Y / Y_reference)| and mean log2(...) where the reference is above 203 cd/m², or NaNs."""
    ratio, reference = ratio_stops(pq, reference_pq)
    chosen = ratio[reference > GRAPHICS_WHITE_NITS]
    if not chosen.numel():
        return math.nan, math.nan
    return float(chosen.abs().mean()), float(chosen.mean())


def share_outside_bt709(pq: Tensor) -> float:
    """Share of pixels (0..1) with a BT.709 channel below -1 % of their brightest channel.

    Pixels darker than 1 cd/m² don't count: their colour is rounding.
    """
    nits = pq_to_nits(clip_pq(pq))
    bt709 = convert(nits, Primaries.BT2020, Primaries.BT709)
    outside = bt709.amin(dim=-3) < -_OUTSIDE_TOLERANCE * nits.amax(dim=-3)
    return float((outside & (nits.amax(dim=-3) > _EXPOSURE_FLOOR_NITS)).double().mean())


def fidelity(pq: Tensor, reference_pq: Tensor) -> dict[str, float]:
    """Everything in :data:`FIDELITY` for one picture (3, H, W) and its reference."""
    error, shift = highlight_error_stops(pq, reference_pq)
    return {
        "psnr_db": psnr_db(pq, reference_pq),
        "sr_sim": sr_sim(pq, reference_pq),
        "delta_e_itp": delta_e_mean(pq, reference_pq),
        "exposure_stops": exposure_shift_stops(pq, reference_pq),
        "highlight_error_stops": error,
        "highlight_shift_stops": shift,
        "outside_bt709": share_outside_bt709(pq),
        "reference_outside_bt709": share_outside_bt709(reference_pq),
    }


def mean_by_name(measured: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each measure over pictures of one group; NaNs (nothing to measure there) stay out of it."""
    return {name: _mean(row[name] for row in measured) for name in measured[0]}


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan

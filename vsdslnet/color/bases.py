"""The analytic bases that networks correct, by the names their configs carry."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from vsdslnet.color.measured import measured_pq
from vsdslnet.color.sdr_to_hdr import bt2446a_pq, plain_pq

__all__ = ["BASES", "base_pq"]

BASES: dict[str, Callable[[Tensor], Tensor]] = {
    "measured": measured_pq,
    "bt2446a": bt2446a_pq,
    "plain": plain_pq,
}


def base_pq(sdr: Tensor, base: str, lines: Tensor | None = None) -> Tensor:
    """SDR R'G'B' 0..1 (..., 3, H, W) -> PQ BT.2020 by the base of that name; KeyError on "none".

    With ``lines`` (..., 2, H, W), which "measured" alone takes, its gain follows the neighbourhood.
    """
    return BASES[base](sdr) if lines is None else measured_pq(sdr, lines)

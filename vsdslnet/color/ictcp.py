"""ICtCp (BT.2100 table 7) and the colour difference dE_ITP (BT.2124)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from vsdslnet.color.primaries import Rows, apply_rows
from vsdslnet.color.transfer import nits_to_pq, pq_to_nits

__all__ = ["delta_e_itp", "ictcp_to_nits", "nits_to_ictcp"]


_RGB_TO_LMS = [[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]
_LMS_TO_ICTCP = [[2048, 2048, 0], [6610, -13613, 7003], [17933, -17390, -543]]


@cache
def _rows() -> tuple[Rows, Rows, Rows, Rows]:
    """The matrices from RGB to LMS and on to ICtCp, and their inverses, as numbers found once."""
    matrices = [torch.tensor(rows, dtype=torch.float64) / 4096 for rows in (_RGB_TO_LMS, _LMS_TO_ICTCP)]
    to_lms, to_ictcp = matrices
    every = (to_lms, to_ictcp, torch.linalg.inv(to_ictcp), torch.linalg.inv(to_lms))
    first, second, third, fourth = (matrix.tolist() for matrix in every)
    return first, second, third, fourth


def nits_to_ictcp(nits: Tensor) -> Tensor:
    """Linear BT.2020 light in cd/m² (..., 3, H, W) -> I (0..1), Ct, Cp (-0.5..0.5); BT.2100 table 7, PQ."""
    to_lms, to_ictcp, _, _ = _rows()
    return apply_rows(to_ictcp, nits_to_pq(apply_rows(to_lms, nits)))


def ictcp_to_nits(ictcp: Tensor) -> Tensor:
    """Inverse of :func:`nits_to_ictcp`; colours outside BT.2020 come out negative."""
    _, _, from_ictcp, from_lms = _rows()
    return apply_rows(from_lms, pq_to_nits(apply_rows(from_ictcp, ictcp)))


def delta_e_itp(nits_a: Tensor, nits_b: Tensor) -> Tensor:
    """dE_ITP between two pictures of linear BT.2020 light (cd/m²), per pixel (..., H, W); BT.2124-0 annex 1.

    1 is a just noticeable difference: 720 * sqrt(dI² + dT² + dP²) with T = Ct / 2.
    """
    di, dt, dp = (nits_to_ictcp(nits_a) - nits_to_ictcp(nits_b)).unbind(-3)
    # The floor keeps the square root's gradient finite where both are equal.
    return 720 * (di.square() + (0.5 * dt).square() + dp.square() + 1e-18).sqrt()

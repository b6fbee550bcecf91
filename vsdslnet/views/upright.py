"""Frames the way up that a player shows them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

__all__ = ["upright"]


def upright(planes: Tensor, display_matrix: Sequence[int]) -> Tensor:
    """A frame (..., H, W) turned and mirrored as its display matrix says, to the nearest right angle.

    ``display_matrix``: the nine numbers of ISO/IEC 14496-12, 8.3.2, a b u c d v x y w, by which the pixel in column p
    and row q is shown in column ap + cq + x and row bp + dq + y; or nothing.
    """
    if not display_matrix:
        return planes
    a, b, _, c, d, *_ = display_matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        planes, mirrored, upside_down = planes.transpose(-1, -2), c < 0, b < 0
    else:
        mirrored, upside_down = a < 0, d < 0
    return planes.flip([axis for axis, flipped in ((-1, mirrored), (-2, upside_down)) if flipped]).contiguous()

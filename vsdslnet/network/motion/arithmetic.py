"""What a processor does best and a device does without asking back: medians, sums of products, small systems."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["DEVICE", "HOST", "Arithmetic"]


class Arithmetic(NamedTuple):
    """The operations that are done one way on a processor and another on a device.

    ``median``   values (K, n), none negative -> their (lower) medians (K,).
    ``products`` a (K, m, n), b (K, p, n) -> sums of products over n, (K, m, p).
    ``solved``   systems (K, m, m), symmetric and positive definite, right sides (K, m, 1) -> solutions.
    """

    median: Callable[[Tensor], Tensor]
    products: Callable[[Tensor, Tensor], Tensor]
    solved: Callable[[Tensor, Tensor], Tensor]


def _median_by_counting(values: Tensor) -> Tensor:
    """Exact, in two passes over 16 bits each: numbers that are not negative are ordered as their bits are.

    A device's own median reads each row 16 times with one block of threads.
    """
    bits = values.contiguous().view(torch.int32)
    high, low = (bits >> 16).long(), (bits & 0xFFFF).long()
    rank = (values.shape[1] - 1) // 2
    upper, below = _bin_of_rank(high, torch.ones_like(bits), values.new_full((len(values), 1), rank, dtype=torch.long))
    lower, _ = _bin_of_rank(low, (high == upper).int(), rank - below)
    return ((upper << 16) | lower).int().view(torch.float32)[:, 0]


def _bin_of_rank(bins: Tensor, weights: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """Which bin (K, 1) holds the value of a rank (K, 1), and how many values lie below that bin."""
    counts = bins.new_zeros(len(bins), 1 << 16, dtype=torch.int32).scatter_add_(1, bins, weights)
    up_to = counts.cumsum(dim=1)
    place = (up_to <= rank).sum(dim=1, keepdim=True)
    return place, up_to.gather(1, place) - counts.gather(1, place)


def _solved_by_elimination(systems: Tensor, right: Tensor) -> Tensor:
    """Gauss and Jordan's way, which needs no pivots where systems are positive definite: no library, no host."""
    rows = torch.cat([systems, right], dim=2)
    count = systems.shape[1]
    for k in range(count):
        row = rows[:, k : k + 1] / rows[:, k : k + 1, k : k + 1]
        rest = rows - rows[:, :, k : k + 1] * row
        rows = torch.cat([rest[:, :k], row, rest[:, k + 1 :]], dim=1)
    return rows[:, :, count:]


HOST = Arithmetic(
    median=lambda values: values.median(dim=1).values,
    products=lambda a, b: a @ b.mT,
    solved=torch.linalg.solve,
)
DEVICE = Arithmetic(
    median=_median_by_counting,
    # 36 products of 230,400 numbers each: a matrix library sees a result of 6x6 and keeps one core busy.
    products=lambda a, b: (a.unsqueeze(2) * b.unsqueeze(1)).sum(dim=-1, dtype=torch.float64),
    solved=_solved_by_elimination,
)

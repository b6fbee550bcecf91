"""Streams of rows: a frame runs through the network a strip at a time, each layer keeping a few rows.

Every strip of every layer covers the same rows of the frame, so a skip connection is a queue and
shapes repeat. A layer that looks ``radius`` rows up and down waits for its next strip; beyond the frame
it sees the zeros that its padding would put there. Nothing is computed twice, no seam can appear, and
memory follows the frame's width and the strip's height only.

A strip is (1, C, rows, W) in channels-last memory, so a cut along the rows is a view without gaps.

While the layers before it work on the next strip, a generator holds whatever it has a name for: so strips are
let go before they are handed on (and ``zip`` is no friend, for it holds its last tuple).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

__all__ = ["RowOp", "Rows", "each", "padded", "remember", "strips"]

Rows = Iterator[Tensor]
RowOp = Callable[[Tensor], Tensor]


def strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """The (top, bottom) of every strip of a frame: ``rows`` each, the last one as tall as what is left."""
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def each(rows: Iterable[Tensor], op: RowOp) -> Rows:
    """A layer that looks at no other row."""
    for strip in rows:
        done = [op(strip)]
        del strip
        yield done.pop()


def padded(rows: Iterable[Tensor], radius: int) -> Rows:
    """Each strip with ``radius`` rows above and below it; zeros outside the frame. Read-only views."""
    held: Tensor | None = None
    waiting: deque[int] = deque()
    due: list[Tensor] = []
    for strip in rows:
        held = _joined(_zeros(strip, radius) if held is None else held, strip)
        waiting.append(strip.shape[-2])
        del strip
        while waiting and held.shape[-2] >= waiting[0] + 2 * radius:
            held = _cut(held, waiting.popleft(), radius, due)
            yield due.pop()
    if held is None:
        return
    held = _joined(held, _zeros(held, radius))
    while waiting:
        held = _cut(held, waiting.popleft(), radius, due)
        yield due.pop()


def remember(rows: Iterable[Tensor], queue: deque[Tensor]) -> Rows:
    """Pass strips on and queue them as well: where a skip connection starts."""
    for strip in rows:
        queue.append(strip)
        del strip
        yield queue[-1]


def _cut(held: Tensor, rows: int, radius: int, due: list[Tensor]) -> Tensor:
    """Put the first strip of ``rows``, with its context, into ``due``; returns what later strips need of the rest."""
    due.append(held[..., : rows + 2 * radius, :])
    rest = held[..., rows:, :]
    # A view would keep all rows; a copy of many would cost more time than their memory is worth.
    return rest.clone() if rest.shape[-2] * 4 <= held.shape[-2] else rest


def _joined(above: Tensor, below: Tensor) -> Tensor:
    return torch.cat([above, below], dim=-2)


def _zeros(like: Tensor, rows: int) -> Tensor:
    n, c, _, w = like.shape
    return torch.zeros(n, rows, w, c, dtype=like.dtype, device=like.device).permute(0, 3, 1, 2)

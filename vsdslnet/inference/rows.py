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
    """Each strip with ``radius`` rows above and below it, zeros outside the frame; the result is the caller's own.

    Strips are held until the next has been seen: nobody may write into them.
    """
    held: deque[Tensor] = deque()
    waiting: deque[int] = deque()
    zeros: Tensor | None = None
    have = 0
    for strip in rows:
        if zeros is None:
            zeros = _zeros(strip, radius)
            held.append(zeros)
            have = radius
        held.append(strip)
        waiting.append(strip.shape[-2])
        have += strip.shape[-2]
        del strip
        while waiting and have >= waiting[0] + 2 * radius:
            have -= waiting[0]
            yield _next(held, waiting.popleft(), radius)
    if zeros is not None:
        held.append(zeros)
    while waiting:
        yield _next(held, waiting.popleft(), radius)


def remember(rows: Iterable[Tensor], queue: deque[Tensor]) -> Rows:
    """Pass strips on and queue them as well: where a skip connection starts."""
    for strip in rows:
        queue.append(strip)
        del strip
        yield queue[-1]


def _next(held: deque[Tensor], rows: int, radius: int) -> Tensor:
    """The first strip of ``rows`` with its context; lets go of what no later strip needs."""
    parts: list[Tensor] = []
    missing = rows + 2 * radius
    for part in held:
        parts.append(part[..., :missing, :])
        missing -= parts[-1].shape[-2]
        if not missing:
            break
    while rows >= held[0].shape[-2]:
        rows -= held.popleft().shape[-2]
    rest = held[0][..., rows:, :]
    # A view keeps a whole strip; a copy of many rows would cost more time than their memory is worth.
    held[0] = rest.clone() if rest.shape[-2] * 4 <= held[0].shape[-2] else rest
    return torch.cat(parts, dim=-2)


def _zeros(like: Tensor, rows: int) -> Tensor:
    n, c, _, w = like.shape
    return torch.zeros(n, rows, w, c, dtype=like.dtype, device=like.device).permute(0, 3, 1, 2)

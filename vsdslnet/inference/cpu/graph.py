"""A frame as a graph of strips: every layer's every strip is a task, computed once all it reads is there.

Every strip of every layer covers the same rows of the frame, so shapes repeat. A layer that looks ``radius`` rows
up and down reads neighbouring strips as well; beyond the frame it sees the zeros that its padding would put there.
Nothing is computed twice, no seam can appear, and memory follows the frame's width and the strip's height only.

A task is a pure function of what it reads, so the order of tasks leaves no trace in the picture. Any number of
threads works on one graph, each on a task of its own: operations that two threads share make each of them wait for
the other at every step, and all of them stand still when some other program has one of the cores.

A strip is (1, C, rows, W) in channels-last memory, so a cut along the rows is a view without gaps.

An operation with a halo of many rows can have its strip in parts of some columns each, which stay in a processor's
cache where whole rows do not.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from vsdslnet.network.side_by_side import Everywhere

__all__ = ["Layer", "Op", "Part", "Read", "Span", "StripGraph"]


class Span(NamedTuple):
    """Rows ``top`` to ``bottom`` of a frame."""

    top: int
    bottom: int


Op = Callable[..., Tensor]
"""From a strip's :class:`Span` and what the layer reads to the strip.

Strips read as they are belong to others as well: nobody may write into them. Those with a halo are the op's own.
"""


class Read(NamedTuple):
    """A layer's strip with a halo of ``radius`` rows (of that layer) above and below it.

    With ``columns`` it comes as an iterator of :class:`Part`, about so many columns each.
    """

    layer: Layer
    radius: int
    columns: int = 0


class Part(NamedTuple):
    """Some columns of a strip with its halo, and ``radius`` columns beside them where the frame has them."""

    haloed: Tensor
    inside: slice
    """The columns of ``haloed`` that are the part's own; those of all parts make the strip's."""


class Layer:
    """A layer whose rows stand for ``step`` rows of the frame each; made by :meth:`StripGraph.add`."""

    def __init__(self, depth: int, step: int, op: Op, reads: tuple[Read, ...]) -> None:
        # What reads a layer is not kept here: in a circle, ops and the frames they hold would outlive the frame.
        self.depth, self.step, self.op, self.reads = depth, step, op, reads

    def with_halo(self, radius: int, *, columns: int = 0) -> Read:
        """This layer with ``radius`` rows of halo, as something to read; see :class:`Read`."""
        return Read(self, radius, columns)


class _Task(NamedTuple):
    """Ordered by urgency: the deepest layer first, so that strips are used up before new ones are begun."""

    shallowness: int
    strip: int


class StripGraph:
    """A graph for frames of ``height`` in strips of ``rows``; add layers from the first to the last, then run it."""

    def __init__(self, height: int, rows: int) -> None:
        self.height, self.rows = height, rows
        self.spans = [Span(top, min(top + rows, height)) for top in range(0, height, rows)]
        self._layers: list[Layer] = []

    def add(self, op: Op, *reads: Layer | Read, step: int = 1) -> Layer:
        """Another layer; ``rows`` has to be a multiple of every layer's ``step``."""
        each = tuple(Read(read, 0) if isinstance(read, Layer) else read for read in reads)
        layer = Layer(len(self._layers), step, op, each)
        self._layers.append(layer)
        return layer

    def run(self, everywhere: Everywhere) -> None:
        """Compute every strip of every layer; more threads than strips would have nothing to do."""
        everywhere(_Run(self._layers, self.spans, self.rows).work, len(self.spans))


class _Run:
    """One pass over a graph: what is ready, what is waited for, and the strips that are still to be read."""

    def __init__(self, layers: list[Layer], spans: list[Span], rows: int) -> None:
        self._layers, self._spans, self._rows = layers, spans, rows
        self._last = len(spans) - 1
        self._strips: dict[tuple[Layer, int], Tensor] = {}
        self._change = threading.Condition()
        self._missing = {
            (layer, strip): sum(len(self._strips_read(read, strip)) for read in layer.reads)
            for layer in layers
            for strip in range(len(spans))
        }
        self._unread = dict.fromkeys(self._missing, 0)
        self._readers: dict[Layer, list[tuple[Layer, Read]]] = {layer: [] for layer in layers}
        for layer in layers:
            for read in layer.reads:
                self._readers[read.layer].append((layer, read))
                for strip in range(len(spans)):
                    for other in self._strips_read(read, strip):
                        self._unread[read.layer, other] += 1
        self._ready = [_Task(-layer.depth, strip) for (layer, strip), missing in self._missing.items() if not missing]
        heapq.heapify(self._ready)
        self._open = len(self._missing)
        self._failed = False

    def work(self) -> None:
        """Do tasks until there are none left; what an op raises is raised, and ends the run everywhere."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._ready or not self._open or self._failed)
                if self._failed or not self._open:
                    return
                task = heapq.heappop(self._ready)
            layer = self._layers[-task.shallowness]
            try:
                done = layer.op(self._spans[task.strip], *(self._assembled(read, task.strip) for read in layer.reads))
            except BaseException:
                with self._change:
                    self._failed = True
                    self._change.notify_all()
                raise
            with self._change:
                self._finish(layer, task.strip, done)
            # The thread is going to wait with this name, and must not hold a strip meanwhile.
            del done

    def _finish(self, layer: Layer, strip: int, done: Tensor) -> None:
        """Keep a strip as long as it is read, let go of those it was the last to read, and see what is ready now."""
        self._open -= 1
        for read in layer.reads:
            for other in self._strips_read(read, strip):
                self._unread[read.layer, other] -= 1
                if not self._unread[read.layer, other]:
                    del self._strips[read.layer, other]
        if self._unread[layer, strip]:
            self._strips[layer, strip] = done
        for reader, read in self._readers[layer]:
            # A halo reaches as far up as down: this strip is read by those whose strips it would read.
            for other in self._strips_read(read, strip):
                self._missing[reader, other] -= 1
                if not self._missing[reader, other]:
                    heapq.heappush(self._ready, _Task(-reader.depth, other))
        self._change.notify_all()

    def _strips_read(self, read: Read, strip: int) -> range:
        """The strips that a layer reads for one of its own."""
        reach = -(-read.radius * read.layer.step // self._rows)
        return range(max(0, strip - reach), min(self._last, strip + reach) + 1)

    def _assembled(self, read: Read, strip: int) -> Tensor | Iterator[Part]:
        """A strip with its halo, zeros outside the frame; one without a halo as it is, else a copy."""
        if not read.radius:
            return self._strips[read.layer, strip]
        rows = self._rows_with_halo(read, strip)
        return _parts(rows, read) if read.columns else torch.cat(rows, dim=-2)

    def _rows_with_halo(self, read: Read, strip: int) -> list[Tensor]:
        """What makes a strip with its halo, from top to bottom."""
        middle = self._strips[read.layer, strip]
        parts = [middle]
        strips = self._strips_read(read, strip)
        above = below = read.radius
        for other in range(strip - 1, strips.start - 1, -1):
            part = self._strips[read.layer, other]
            parts.insert(0, part[..., max(0, part.shape[-2] - above) :, :])
            above -= parts[0].shape[-2]
        for other in range(strip + 1, strips.stop):
            parts.append(self._strips[read.layer, other][..., :below, :])
            below -= parts[-1].shape[-2]
        if above:
            parts.insert(0, _zeros(middle, above))
        if below:
            parts.append(_zeros(middle, below))
        return parts


def _parts(rows: list[Tensor], read: Read) -> Iterator[Part]:
    """One part at a time, so that there is never a copy of the whole strip."""
    width = rows[0].shape[-1]
    count = max(1, round(width / read.columns))
    edges = [width * part // count for part in range(count + 1)]
    for left, right in itertools.pairwise(edges):
        first = max(0, left - read.radius)
        around = slice(first, min(width, right + read.radius))
        yield Part(torch.cat([each[..., around] for each in rows], dim=-2), slice(left - first, right - first))


def _zeros(like: Tensor, rows: int) -> Tensor:
    n, c, _, w = like.shape
    return torch.zeros(n, rows, w, c, dtype=like.dtype, device=like.device).permute(0, 3, 1, 2)

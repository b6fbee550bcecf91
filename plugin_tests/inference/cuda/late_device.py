"""A device in CUDA's place that puts every piece of work off until an event that somebody waits for needs it.

Pinned and device memory are plain memory, full of NaN when new. A copy that nobody waits for has not happened, and
what is overwritten too early is seen: the picture is wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from plugin_tests.questions import NoQuestions

__all__ = ["LateDevice"]

Work = Callable[[], None]
_lock = threading.RLock()


class LateEvent:
    def __init__(self, stream: LateStream) -> None:
        self._stream, self._count = stream, len(stream.queue)

    def synchronize(self) -> None:
        with _lock:
            self._stream.run_until(self._count)


class LateStream:
    def __init__(self) -> None:
        self.queue: list[Work] = []
        self._done = 0

    def submit(self, work: Work) -> None:
        with _lock:
            self.queue.append(work)

    def record(self) -> LateEvent:
        with _lock:
            return LateEvent(self)

    def wait(self, event: LateEvent) -> None:
        self.submit(event.synchronize)

    def run_until(self, count: int) -> None:
        while self._done < count:
            work = self.queue[self._done]
            self._done += 1
            try:
                work()
            except BaseException:
                self._done = len(self.queue)  # CUDA would have raised as it was handed over, and what follows not be
                raise


class LateDevice:
    """Runs on the processor. ``free`` is what :meth:`free_bytes` says; ``counts`` says what was asked for."""

    def __init__(self, *, free: int = 1 << 40, graphs: bool = True) -> None:
        self.device = torch.device("cpu")
        self.free, self.graphs = free, graphs
        self.streams: list[LateStream] = []
        self.pinned_blocks, self.captures, self.released = 0, 0, 0
        self.pinned_addresses: set[int] = set()

    def stream(self) -> LateStream:
        self.streams.append(LateStream())
        return self.streams[-1]

    def pinned(self, shape: tuple[int, ...]) -> Tensor:
        block = torch.full(shape, float("nan"))
        self.pinned_blocks += 1
        self.pinned_addresses.add(block.data_ptr())
        return block

    def is_pinned(self, tensor: Tensor) -> bool:
        return tensor.data_ptr() in self.pinned_addresses

    def free_bytes(self) -> int:
        return self.free

    def release(self) -> None:
        self.released += 1

    def arithmetic(self, *, exact: bool) -> AbstractContextManager[None]:
        self.exact = exact
        return nullcontext()

    def capture(self, stream: LateStream, work: Work) -> Work:
        if not self.graphs:
            raise RuntimeError("operation not permitted when stream is capturing\nmore advice")
        self.captures += 1
        # A graph is recorded without anybody waiting for the device; what the host finds once is found by then.
        with NoQuestions():
            work()
        return work

    def seconds(self, work: Work) -> float:
        work()
        return 1.0

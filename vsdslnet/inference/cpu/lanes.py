"""The threads that work on a frame: as many as PyTorch was given, each computing by itself.

PyTorch's own way, all threads on one operation, waits for the last of them thousands of times a frame. That was
seen to take eight times as long when another program held one of two cores; and where a process has more threads
that compute than cores (each thread that calls PyTorch gets a team of its own), they sleep and wake at each step.

Nor would it give the same bits: how an operation cuts its sums, and which numbers end up in the remainder behind the
last whole vector, depends on its threads. So every operation that a frame is made of has one thread, and what runs
side by side are tasks whose shapes follow from the frame alone. A frame is the same on 1 thread and on 64, by itself
and among others.

Frames that are computed at the same time share the threads: small ones have too few strips to keep several busy
(two streams of 160x90 on two cores gave 1.8 times the frames on a thread each).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import torch

from vsdslnet.inference.cpu.threads import LastingThreads, finished
from vsdslnet.network.side_by_side import each

__all__ = ["each_in_lanes", "in_lanes", "on_backend_thread"]

_MOST_LANES = 16
"""More have strips of more layers in memory at once; more cores than that are for more frames at once."""

# Closed in the opposite order, so that frames that are under way when the interpreter exits find their lanes open.
_keeper = LastingThreads()
_lanes = LastingThreads()
_backend_threads = LastingThreads()

_numbers = threading.Lock()
"""Held while PyTorch's number of threads, which new threads take over, may for a moment be a lane's."""


class _Given(threading.local):
    """What the frame that is computed on this thread may use."""

    threads = 0


class _Count:
    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def add(self, change: int) -> None:
        with self._lock:
            self.value += change


_given = _Given()
_under_way = _Count()


def on_backend_thread[T](call: Callable[[], T]) -> T:
    """The call's result, or what it raised, from a lasting thread whose operations have one thread each.

    :func:`in_lanes` within it shares the threads that PyTorch gave the caller. A call within such a call is just made.
    """
    if _given.threads:
        return call()
    threads = _threads_here()

    def frame() -> T:
        _compute_alone()
        _given.threads = threads
        _under_way.add(1)
        try:
            return call()
        finally:
            _under_way.add(-1)

    return _backend_threads.run(frame)


def in_lanes(work: Callable[[], None], most: int) -> None:
    """Do the work on every lane of this frame at once, but at most so many; returns when all have.

    What one of them raised is raised here.
    """
    threads = _given.threads or _threads_here()
    lanes = max(1, min(threads // max(1, _under_way.value), most, _MOST_LANES))
    if lanes == 1 and _given.threads:
        work()
        return

    def lane() -> None:
        _compute_alone()
        with torch.inference_mode():
            work()

    calls = [_lanes.start(lane) for _ in range(lanes)]
    errors = [error for error in (finished(call).exception() for call in calls) if error is not None]
    if errors:
        raise errors[0]


def each_in_lanes[A, B](task: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """``task`` of every item, in their order, on the threads that the caller has."""
    return on_backend_thread(lambda: each(task, items, in_lanes))


def _threads_here() -> int:
    with _numbers:
        return torch.get_num_threads()


def _compute_alone() -> None:
    """Give this thread's operations one thread each, from now on; threads to come keep the number there was."""
    with _numbers:
        threads = torch.get_num_threads()
        if threads != 1:
            torch.set_num_threads(1)
            _keeper.run(lambda: torch.set_num_threads(threads))

"""The threads that work on a frame: as many as PyTorch was given, each computing by itself.

PyTorch's own way, all threads on one operation, waits for the last of them thousands of times a frame. That was
seen to take eight times as long when another program held one of two cores; and where a process has more threads
that compute than cores (each thread that calls PyTorch gets a team of its own), they sleep and wake at each step.

Frames that are computed at the same time share the threads: small ones have too few strips to keep several busy
(two streams of 160x90 on two cores gave 1.8 times the frames on a thread each).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from vsdslnet.inference.cpu.threads import LastingThreads, finished

__all__ = ["frame_under_way", "here", "in_lanes"]

_MOST_LANES = 4
"""More have strips of more layers in memory at once; with more cores than that, each lane is several threads."""

# Made before the threads that engines are called on, and so closed after them (see atexit): frames that are under
# way when the interpreter exits find their lanes open.
_threads = LastingThreads()


def here(work: Callable[[], None], most: int) -> None:
    """Do the work on the calling thread, with whatever threads its operations have."""
    del most
    work()


@contextmanager
def frame_under_way() -> Iterator[None]:
    """While a frame is computed: it shares the threads with all others that are."""
    _under_way.add(1)
    try:
        yield
    finally:
        _under_way.add(-1)


class _Count:
    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def add(self, change: int) -> None:
        with self._lock:
            self.value += change


_under_way = _Count()


def in_lanes(work: Callable[[], None], most: int) -> None:
    """Do the work on every lane of this frame at once, but at most so many; returns when all have.

    What one of them raised is raised here.
    """
    threads = torch.get_num_threads()
    mine = max(1, threads // max(1, _under_way.value))
    lanes = max(count for count in range(1, _MOST_LANES + 1) if mine % count == 0)
    # Work for one lane gets one lane's threads: small operations only suffer from more.
    share, lanes = mine // lanes, min(lanes, most)
    if lanes == 1 and share == threads:
        work()
        return
    started = threading.Barrier(lanes + 1)

    def lane() -> None:
        if torch.get_num_threads() != share:
            torch.set_num_threads(share)
        started.wait()
        with torch.inference_mode():
            work()

    try:
        calls = [_threads.start(lane) for _ in range(lanes)]
    except BaseException:
        started.abort()
        raise
    started.wait()
    # It is the lanes' number alone, but threads that PyTorch has not seen yet would take it over.
    torch.set_num_threads(threads)
    errors = [error for error in (finished(call).exception() for call in calls) if error is not None]
    if errors:
        raise errors[0]

"""Keeps encoders from making the process real-time.

SVT-AV1, when root starts it (in a container, say), gives its threads and the thread that called it SCHED_FIFO at
the highest priority. Whatever is started from there inherits it, and one busy loop then starves a core.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["ordinary_scheduling"]


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Afterwards every thread that became real-time inside has the policy that the caller had before."""
    if sys.platform != "linux":
        yield
        return
    before = _real_time_threads()
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in _real_time_threads() - before:
            try:
                os.sched_setscheduler(thread, policy, parameters)
            except ProcessLookupError:  # it has ended meanwhile
                continue


def _real_time_threads() -> set[int]:
    threads: set[int] = set()
    if sys.platform != "linux":
        return threads
    for entry in Path("/proc/self/task").iterdir():
        try:
            if os.sched_getscheduler(int(entry.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                threads.add(int(entry.name))
        except ProcessLookupError:
            continue
    return threads

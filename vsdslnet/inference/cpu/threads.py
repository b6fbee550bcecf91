"""Threads that never end, for work in libraries that suffer when threads do.

PyTorch's matrix products run in MKL, which keeps buffers for every thread that called it and frees them as the
thread ends. That clean-up was seen waiting for ever for its own lock (``mm_cleanup_thread_cbk``, torch 2.x on
x86), so that a process never exited. OpenMP keeps a team of workers for each of those threads as well.
VapourSynth and executors start and end threads as they like; so backends run on threads of ours.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

from vsdslnet.errors import BackendError

__all__ = ["LastingThreads", "finished"]

# A thread that waits for ever without Python could not be told that the interpreter shuts down.
_LOOK_UP_SECONDS = 1.0

type _Orders = queue.SimpleQueue[Callable[[Callable[[], None]], None]]


def finished[T](future: Future[T]) -> Future[T]:
    """The same, once it is done."""
    while not wait([future], _LOOK_UP_SECONDS).done:
        pass
    return future


class LastingThreads:
    """Runs calls on threads that are made when all others are busy and that live as long as the process.

    When the interpreter exits, calls under way are waited for and later ones refused with BackendError: they
    come from frames that nobody is going to see.
    """

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._idle: list[_Orders] = []
        self._busy = 0
        self._closed = False
        atexit.register(self._close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def run[T](self, call: Callable[[], T]) -> T:
        """The call's result, or what it raised; calls at the same time have a thread each."""
        return finished(self.start(call)).result()

    def start[T](self, call: Callable[[], T]) -> Future[T]:
        """Let a call run, without waiting for it; wait with :func:`finished`."""
        future: Future[T] = Future()

        def serve(rest: Callable[[], None]) -> None:
            """Call, then ``rest`` (the thread is free again), then let the caller know."""
            try:
                result = call()
            except BaseException as error:
                rest()
                future.set_exception(error)
            else:
                rest()
                future.set_result(result)

        with self._change:
            if self._closed:
                raise BackendError("Python is shutting down; frames that are still wanted are not computed")
            self._busy += 1
            orders = self._idle.pop() if self._idle else None
        if orders is None:
            orders = queue.SimpleQueue()
            try:
                threading.Thread(target=self._serve, args=(orders,), name="vsdslnet backend", daemon=True).start()
            except RuntimeError as error:
                # An interpreter that exits makes no thread from before its exit handlers on; and it waits in ours
                # until nothing is under way.
                with self._change:
                    self._busy -= 1
                    self._change.notify_all()
                raise BackendError(f"no thread for a frame: {error}") from error
        orders.put(serve)
        return future

    def _serve(self, orders: _Orders) -> None:
        def rest() -> None:
            with self._change:
                self._idle.append(orders)
                self._busy -= 1
                self._change.notify_all()

        while True:
            # Not kept in a name: it would hold the last frame while the thread waits for the next.
            orders.get()(rest)

    def _close(self) -> None:
        with self._change:
            self._closed = True
            self._change.wait_for(lambda: self._busy == 0)

    def _forget(self) -> None:
        """A forked child has none of the threads."""
        self._change, self._idle, self._busy = threading.Condition(), [], 0

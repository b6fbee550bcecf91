"""Tasks that may run at the same time, wherever the caller has threads for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

__all__ = ["Everywhere", "each", "on_this_thread"]

Everywhere = Callable[[Callable[[], None], int], None]
"""Calls what it is given on each thread there is, on at most so many, and raises what one of them raised."""


def on_this_thread(work: Callable[[], None], most: int) -> None:
    """Do the work on the calling thread."""
    del most
    work()


def each[A, B](task: Callable[[A], B], items: Iterable[A], everywhere: Everywhere) -> list[B]:
    """``task`` of every item, in their order; no more are begun once one has failed."""
    given = list(items)
    done: list[B | None] = [None] * len(given)
    waiting = iter(range(len(given)))
    lock = threading.Lock()

    def work() -> None:
        nonlocal waiting
        while True:
            with lock:
                number = next(waiting, None)
            if number is None:
                return
            try:
                done[number] = task(given[number])
            except BaseException:
                with lock:
                    waiting = iter(range(0))
                raise

    everywhere(work, len(given))
    return done  # type: ignore[return-value] # all of them, or everywhere has raised

"""Giving freed memory back to the system while a clip runs.

Frames and tensors are freed on other threads than the ones that made them. glibc keeps such blocks in the
heaps of each thread, where they get scattered: a 640x360 clip held twice its memory after 1,400 frames,
with nothing of it in use. ``malloc_trim`` hands those pages back.
"""

from __future__ import annotations

import ctypes
import sys
import time

__all__ = ["MemoryReturn"]

_INTERVAL_SECONDS = 2.0  # a trim takes some milliseconds; memory grows by some frames in this time


class MemoryReturn:
    """Trims glibc's heaps now and then; does nothing where there is no ``malloc_trim``."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None) if sys.platform == "linux" else None
        self._trim = getattr(library, "malloc_trim", None)
        self._next_seconds = time.monotonic()

    def after_frame(self) -> None:
        """Call after each frame; threads may call it together, at worst they trim twice."""
        now_seconds = time.monotonic()
        if self._trim is not None and now_seconds >= self._next_seconds:
            self._next_seconds = now_seconds + _INTERVAL_SECONDS
            self._trim(0)  # without the GIL, as ctypes calls are

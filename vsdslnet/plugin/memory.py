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

# A trim takes some milliseconds. Slow frames are followed by one after this time, ...
_INTERVAL_SECONDS = 2.0
# ... and fast ones after as much output: how much gets scattered depends on that, not on the time.
_INTERVAL_BYTES = 16 << 20


class MemoryReturn:
    """Trims glibc's heaps now and then; does nothing where there is no ``malloc_trim``."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None) if sys.platform == "linux" else None
        self._trim = getattr(library, "malloc_trim", None)
        self._next_seconds = time.monotonic()
        self._bytes = 0

    def after_frame(self, frame_bytes: int) -> None:
        """Call after each frame, with its size; threads may call it together, at worst they trim twice."""
        now_seconds = time.monotonic()
        self._bytes += frame_bytes
        if self._trim is not None and (now_seconds >= self._next_seconds or self._bytes >= _INTERVAL_BYTES):
            self._next_seconds, self._bytes = now_seconds + _INTERVAL_SECONDS, 0
            self._trim(0)  # without the GIL, as ctypes calls are

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
# But a frame after a trim has to ask the system for its working memory again: at 960x540, 5 % of its time.
_LEAST_FRAMES = 4


class MemoryReturn:
    """Trims glibc's heaps now and then; does nothing where there is no ``malloc_trim``."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None) if sys.platform == "linux" else None
        self._trim = getattr(library, "malloc_trim", None)
        self._next_seconds = time.monotonic()
        self._bytes = 0
        self._frames = 0

    def after_frame(self, frame_bytes: int) -> None:
        """Call after each frame, with its size; threads may call it together, at worst they trim twice."""
        now_seconds = time.monotonic()
        self._bytes += frame_bytes
        self._frames += 1
        if self._trim is None or self._frames < _LEAST_FRAMES:
            return
        if now_seconds >= self._next_seconds or self._bytes >= _INTERVAL_BYTES:
            self._next_seconds, self._bytes, self._frames = now_seconds + _INTERVAL_SECONDS, 0, 0
            self._trim(0)  # without the GIL, as ctypes calls are

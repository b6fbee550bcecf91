"""What FFmpeg's libraries say, caught instead of printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
import av.logging

from vsdslnet.errors import one_line

__all__ = ["ffmpeg_messages", "ffmpeg_reason"]


@contextmanager
def ffmpeg_messages(level: int | None) -> Iterator[list[tuple[int, str, str]]]:
    """(level, who, text) of what they say on this thread at this level or worse; None: nothing, and nothing printed."""
    before = av.logging.get_level()
    av.logging.set_level(level)
    try:
        with av.logging.Capture() as told:
            yield told
    finally:
        av.logging.set_level(before)


def ffmpeg_reason(error: Exception) -> str:
    """Why something failed, in FFmpeg's own words if it said more than a code."""
    log: Any = getattr(error, "log", None)
    text = log[2] if log else getattr(error, "strerror", None) or error
    return one_line(text).rstrip(".")

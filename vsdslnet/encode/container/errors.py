"""What goes wrong in muxing, in words."""

from __future__ import annotations

from vsdslnet.encode.ffmpeg_log import ffmpeg_reason

__all__ = ["MuxError", "refused"]


class MuxError(Exception):
    """A muxer refuses a packet or a header; the text says of which stream, and why."""


def refused(what: str, error: Exception) -> Exception:
    """A muxer's refusal; what the system refused (no space is left) stays what it is."""
    if isinstance(error, OSError) and error.errno:
        return error
    return MuxError(f"{what} ({ffmpeg_reason(error)})")

"""Frames spread over a file, without decoding all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av

__all__ = ["frames_spread"]


def frames_spread(
    container: av.container.InputContainer, stream: Any, *, seconds: float, places: int
) -> Iterator[tuple[float, av.VideoFrame]]:
    """(seconds from the file's start, frame) of the first frame of a file just opened, and of one at each place.

    Those are key frames, or any where there are few. ``seconds`` is how long the file lasts. Places that are damaged
    are passed over, and so are the last ones of a transport stream, of which no key frame follows.
    """
    start = container.start_time or 0
    seen: set[int | None] = set()
    for at in (0, *(round(seconds * (place + 0.5) / places * av.time_base) for place in range(places))):
        try:
            if at:
                container.seek(at + start)
            frame = next((frame for frame in container.decode(stream) if frame.pts not in seen), None)
        except (av.FFmpegError, OSError):
            continue
        if frame is not None:
            seen.add(frame.pts)
            yield at / av.time_base if frame.time is None else frame.time - start / av.time_base, frame

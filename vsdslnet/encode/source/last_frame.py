"""How long the last frame stays: nothing comes after it, so its timestamp does not say, but many containers do."""

from __future__ import annotations

from fractions import Fraction

import av

__all__ = ["last_frame_seconds"]

# Containers' durations are rounded, some to milliseconds.
_ROUNDING_SECONDS = Fraction(1, 100)


def last_frame_seconds(media: av.container.InputContainer, track: int, timestamp: int) -> Fraction | None:
    """Of the frame that an open file shows last, with this timestamp of its track; None if the file does not say.

    A slide show or a recorded screen may end with a frame that stays for seconds. What a packet says is believed where
    the file as a whole lasts as long.
    """
    stream = media.streams[track]
    if media.duration is None or stream.time_base is None:
        return None
    ends = Fraction(media.duration + (media.start_time or 0), av.time_base)
    stays = 0
    try:
        media.seek(timestamp, stream=stream)
        for packet in media.demux(stream):
            if packet.pts == timestamp:
                stays = packet.duration or 0
            elif packet.pts is not None and packet.pts > timestamp:
                return None  # another frame, that is not shown
    except (av.FFmpegError, OSError):
        return None
    if stays <= 0 or (timestamp + stays) * stream.time_base > ends + _ROUNDING_SECONDS:
        return None
    return stays * stream.time_base

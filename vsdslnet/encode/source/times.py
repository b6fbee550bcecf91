"""Times that a person writes, and the frames on screen then."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np

from vsdslnet.encode.source.clip import Source
from vsdslnet.errors import ArgumentError

__all__ = ["frame_at", "parse_times", "seconds_at"]

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)")


def parse_times(text: str) -> list[float]:
    """``00:10:00,90,1:30.5`` -> seconds; ArgumentError for anything else."""
    seconds = []
    for part in text.split(","):
        match = _TIME.fullmatch(part.strip())
        if match is None:
            raise ArgumentError("at", part, "times as [hours:][minutes:]seconds with commas between")
        hours, minutes, rest = match.groups()
        seconds.append(int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest))
    return seconds


def frame_at(source: Source, seconds: float) -> int:
    """The frame on screen at a time counted from the first frame."""
    start, unit = source.timestamps[0], source.time_base
    wanted = start + Fraction(seconds) / unit
    number = int(np.searchsorted(source.timestamps, float(wanted), side="right")) - 1
    if number >= len(source.timestamps) - 1 and wanted > source.timestamps[-1] + 1 / unit:
        last = seconds_at(source, len(source.timestamps) - 1)
        raise ArgumentError("at", seconds, f"times from 0 to {last:.3f} seconds")
    return number


def seconds_at(source: Source, frame: int) -> float:
    """When a frame is shown, in seconds from the first one."""
    return float((source.timestamps[frame] - source.timestamps[0]) * source.time_base)

"""Times of frames that the file gives none: from those that have one, before and after."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

__all__ = ["INVALID_TIMESTAMP", "rising", "usual_step"]

INVALID_TIMESTAMP = -(2**63)  # AV_NOPTS_VALUE


def usual_step(timestamps: Sequence[int]) -> Fraction | None:
    """Ticks from frame to frame where some have no timestamp; None if all have one, or too few.

    BestSource's own rate is of no use there: it counts the frames that have one alone.
    """
    valid = [number for number, at in enumerate(timestamps) if at != INVALID_TIMESTAMP]
    if len(valid) == len(timestamps):
        return None
    steps = [
        Fraction(timestamps[b] - timestamps[a], b - a) for a, b in pairwise(valid) if timestamps[b] > timestamps[a]
    ]
    return median_low(steps) if steps else None


def rising(timestamps: Sequence[int], one_frame: Fraction) -> list[int]:
    """Timestamps that rise strictly: damaged files repeat some, and not every format has one for each frame.

    AVI lacks the ends', elementary streams all; in program streams (DVD) only the first frame that begins in a packet
    has one, often the first of a GOP. ``one_frame``, in ticks, is what lies between a frame without a timestamp and its
    neighbours, if those on either side don't say otherwise.
    """
    risen: list[int] = []
    for expected in _filled(timestamps, one_frame):
        risen.append(max(expected, risen[-1] + 1) if risen else expected)
    return risen


def _filled(timestamps: Sequence[int], one_frame: Fraction) -> Iterator[int]:
    """Every frame's timestamp, counted from the nearest one there is: a frame may be no whole number of ticks."""
    valid = [number for number, at in enumerate(timestamps) if at != INVALID_TIMESTAMP]
    for number in range(len(timestamps)):
        after = bisect_right(valid, number)
        anchor = valid[max(after - 1, 0)] if valid else 0
        start, step = timestamps[anchor] if valid else 0, one_frame
        if 0 < after < len(valid):
            between = Fraction(timestamps[valid[after]] - start, valid[after] - anchor)
            if 0 < between <= 2 * one_frame:  # else something is missing, or time starts again
                step = between
        yield start + round((number - anchor) * step)

"""The rate of frames that their timestamps show, whatever a header says of it.

Containers round times to ticks of their own (Matroska: milliseconds), and headers give averages over edits, gaps and
last frames that stay. A player takes a stream for one of constant rate only if every frame lies on the grid of that
rate, so frames that are no farther from a grid than rounding puts them are laid on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

__all__ = ["FrameTimes", "frame_times"]

# Rates that exist, in the order in which a few rounded timestamps are taken for one.
_STANDARD_RATES = (
    *(Fraction(24_000, 1001), Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(30), Fraction(50)),
    *(Fraction(60_000, 1001), Fraction(60), Fraction(48), Fraction(48_000, 1001), Fraction(15), Fraction(12)),
    *(Fraction(100), Fraction(120_000, 1001), Fraction(120), Fraction(240)),
)
# Timestamps in milliseconds are off by half of one, copied into another container's ticks by a whole one.
_ROUNDING_SECONDS = Fraction(1, 1000)
# Ticks a second, at least, of a constant rate's time base: what comes before the first frame (sound) is rounded to it.
_LEAST_TICKS = 12_000
_UNKNOWN_FRAME_RATE = Fraction(25)  # FFmpeg's own guess


class FrameTimes(NamedTuple):
    """When frames are shown: ``timestamps`` times ``time_base`` seconds; ``rate`` a second, on average.

    ``constant``: each lies on the grid of ``rate``.
    """

    timestamps: list[int]
    time_base: Fraction
    rate: Fraction
    constant: bool


def frame_times(
    timestamps: Sequence[int], time_base: Fraction, *, claimed: Iterable[Fraction | None] = ()
) -> FrameTimes:
    """Strictly rising timestamps, on the grid of a constant rate if there is one that explains them.

    ``claimed`` are rates that the file gives itself; of several that explain the timestamps the first of them is taken.
    """
    rates = [Fraction(rate) for rate in claimed if rate]
    if len(timestamps) < 2:
        return FrameTimes(list(timestamps), time_base, rates[0] if rates else _UNKNOWN_FRAME_RATE, False)
    seconds = (timestamps[-1] - timestamps[0]) * time_base
    average = (len(timestamps) - 1) / seconds
    for rate in (*rates, *_STANDARD_RATES, average.limit_denominator(1001)):
        if rate > 0 and _explains(rate, timestamps, time_base):
            return _on_grid(rate, timestamps, time_base)
    return FrameTimes(list(timestamps), time_base, average, False)


def _explains(rate: Fraction, timestamps: Sequence[int], time_base: Fraction) -> bool:
    """Whether every frame is where rounding may have put one of the grid."""
    ticks_a_frame = 1 / rate / time_base
    most = min(max(_ROUNDING_SECONDS / time_base, Fraction(1)), ticks_a_frame / 4)
    from_first = np.asarray(timestamps, np.int64) - timestamps[0]
    # In float64: a day of 90,000 ticks a second is exact to a millionth of a tick.
    apart = from_first - np.arange(len(timestamps)) * float(ticks_a_frame)
    return bool(np.ptp(apart) <= 2 * float(most) and np.abs(apart).max() <= 2 * float(most))


def _on_grid(rate: Fraction, timestamps: Sequence[int], time_base: Fraction) -> FrameTimes:
    finer = -(-_LEAST_TICKS // rate.numerator)
    unit = Fraction(1, rate.numerator * finer)
    step = rate.denominator * finer
    first = round(timestamps[0] * time_base / unit)
    return FrameTimes([first + number * step for number in range(len(timestamps))], unit, rate, True)

"""When a script's frames are shown: at the times of the file beside it where they are its frames, else at its rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from vsdslnet.errors import MediaError

__all__ = ["PictureTimes", "ScriptTimes", "script_times"]

# A rate that is rounded (23.976 for 24000/1001) is the same rate.
_SAME_RATE = Fraction(1, 1000)
# Ticks a second, at least: the first frame's time is rounded to one.
_LEAST_TICKS = 12_000


@dataclass(frozen=True, kw_only=True)
class PictureTimes:
    """When the frames of a file's own picture are shown: ``timestamps`` times ``time_base`` seconds, rising.

    ``rates``: frames a second that the file gives itself, the likeliest first.
    """

    name: str
    timestamps: Sequence[int]
    time_base: Fraction
    rates: Sequence[Fraction]

    @property
    def start_seconds(self) -> Fraction:
        """Of the first frame."""
        return self.timestamps[0] * self.time_base

    @property
    def seconds(self) -> Fraction:
        """From the first frame's start to the last one's end."""
        shown = (self.timestamps[-1] - self.timestamps[0]) * self.time_base
        return shown + (shown / (len(self.timestamps) - 1) if len(self.timestamps) > 1 else 1 / self.rates[0])


@dataclass(frozen=True, kw_only=True)
class ScriptTimes:
    """``timestamps`` times ``time_base`` seconds; ``word``: what of the file's own times they leave out."""

    timestamps: list[int]
    time_base: Fraction
    word: str | None = None


def script_times(
    script: str,
    frames: int,
    rate: Fraction | None,
    durations: Sequence[Fraction],
    *,
    picture: PictureTimes | None,
    start_seconds: Fraction,
) -> ScriptTimes:
    """Times of a script's ``frames``.

    ``rate``       frames a second that the script's clip has, None if that varies.
    ``durations``  of each frame in seconds, where the rate varies.
    ``picture``    of the file that the sound comes from, None if there is no picture in it.
    ``start_seconds``  where the script begins if there is none.

    Frames of the file's number at the file's rate have the file's own times. Others follow the script's rate from the
    file's first frame on: MediaError if they then end more than two frames before or after the file's picture, as the
    sound would drift.
    """
    if picture is None:
        return _own(frames, rate, durations, start_seconds)
    seconds = frames / rate if rate else sum(durations, Fraction(0))
    same_rate = rate is None or any(abs(rate / other - 1) <= _SAME_RATE for other in _rates(picture))
    if frames == len(picture.timestamps) and same_rate:
        return ScriptTimes(timestamps=list(picture.timestamps), time_base=picture.time_base)
    apart = seconds - picture.seconds
    if abs(apart) > 2 * max(seconds / frames, picture.seconds / len(picture.timestamps)):
        raise MediaError(
            f"{script}: its {_told(frames, rate, seconds)} last {float(seconds):.3f} s, and the "
            f"{_told(len(picture.timestamps), picture.rates[0], picture.seconds)} of {picture.name} last "
            f"{float(picture.seconds):.3f} s: the sound would drift; {_cure(frames, picture)}"
        )
    own = _own(frames, rate, durations, picture.start_seconds)
    if frames == len(picture.timestamps):
        return own
    return ScriptTimes(
        timestamps=own.timestamps,
        time_base=own.time_base,
        word=f"the frame times of {picture.name} (its picture has {len(picture.timestamps)} frames, the script gives "
        f"{_told(frames, rate, seconds)})",
    )


def _own(frames: int, rate: Fraction | None, durations: Sequence[Fraction], start: Fraction) -> ScriptTimes:
    """By the script's clip alone, from ``start`` on."""
    if rate:
        finer = -(-_LEAST_TICKS // rate.numerator)
        unit = Fraction(1, rate.numerator * finer)
        first, step = round(start / unit), rate.denominator * finer
        return ScriptTimes(timestamps=[first + number * step for number in range(frames)], time_base=unit)
    unit = Fraction(1, 90_000)  # what MPEG counts in
    begins = accumulate(durations[:-1], initial=start)
    return ScriptTimes(timestamps=[round(at / unit) for at in begins], time_base=unit)


def _rates(picture: PictureTimes) -> list[Fraction]:
    return [*picture.rates, len(picture.timestamps) / picture.seconds]


def _told(frames: int, rate: Fraction | None, seconds: Fraction) -> str:
    return f"{frames} frames at {float(rate or frames / seconds):.6g} fps"


def _cure(frames: int, picture: PictureTimes) -> str:
    if frames == len(picture.timestamps):
        rate = picture.rates[0]
        return (
            "if they are the file's frames, end the script with "
            f"clip.std.AssumeFPS(fpsnum={rate.numerator}, fpsden={rate.denominator})"
        )
    return "cut --tracks as the script is cut, or leave it out"

"""From the light of frames to the metadata of their shot."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from vsdslnet.hdr10plus.metadata import PERCENTAGES, ShotMetadata
from vsdslnet.hdr10plus.tone_curve import pq_nits, tone_curve

__all__ = ["HISTOGRAM_BINS", "ShotLight", "ShotMeter", "shot_metadata"]

HISTOGRAM_BINS = 4096
"""PQ signal of each pixel's brightest channel in 12 bits: a step is 0.3 % of the light or less, above 1 cd/m²."""

_CODES = 65_535  # of the 16 bits that channels are measured in
_STEPS_PER_NIT = 10
_HIGHEST_STEP = 100_000
_ABOUT_WHITE_NITS = 100
_REAL_PERCENT = {5: 99.99, 99: 99.98}

Histogram = np.ndarray[Any, np.dtype[np.int64]]


class ShotLight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Light of frames of one shot that follow each other; a shot may have several of these, from several chunks.

    ``first, frames``  which frames of the programme.
    ``max_codes``      brightest red, green and blue, as PQ in 16 bits.
    ``sum_nits``       sum over the frames of the mean light of their pixels' brightest channel.
    ``histogram``      how many pixels have their brightest channel in each of the bins, packed.
    """

    first: int
    frames: int
    max_codes: tuple[int, int, int]
    sum_nits: float
    histogram: str


class ShotMeter:
    """Adds frames of one shot up."""

    def __init__(self, first: int) -> None:
        self._first, self._frames = first, 0
        self._max_codes = (0, 0, 0)
        self._sum_nits = 0.0
        self._histogram: Histogram = np.zeros(HISTOGRAM_BINS, np.int64)

    def add(self, *, max_codes: Iterable[int], average_nits: float, histogram: Any) -> None:
        """The next frame: brightest of each channel, mean light, and its histogram (4096 counts)."""
        red, green, blue = (max(pair) for pair in zip(self._max_codes, max_codes, strict=True))
        self._max_codes = red, green, blue
        self._sum_nits += average_nits
        self._histogram += histogram
        self._frames += 1

    def light(self) -> ShotLight:
        """Everything so far."""
        packed = zlib.compress(self._histogram.astype("<i8").tobytes(), 9)
        return ShotLight(
            first=self._first,
            frames=self._frames,
            max_codes=self._max_codes,
            sum_nits=self._sum_nits,
            histogram=base64.b85encode(packed).decode(),
        )


def shot_metadata(lights: Iterable[ShotLight], *, target_nits: int) -> ShotMetadata:
    """What the frames of a shot are to carry, from the light of all of them.

    A percentile is the least light that so many percent of the shot's pixels do not exceed.
    """
    parts = list(lights)
    histogram = sum((_unpacked(part) for part in parts), np.zeros(HISTOGRAM_BINS, np.int64))
    max_nits = [float(pq_nits(max(part.max_codes[c] for part in parts) / _CODES)) for c in range(3)]
    average_nits = sum(part.sum_nits for part in parts) / sum(part.frames for part in parts)
    light = np.minimum(pq_nits(((np.arange(HISTOGRAM_BINS) + 0.5) / HISTOGRAM_BINS)), max(max_nits))
    reached = np.cumsum(histogram)

    def value(percentage: int) -> int:
        if percentage == 10:
            return round(100 * float(histogram[light <= _ABOUT_WHITE_NITS].sum() / reached[-1]))
        wanted = reached[-1] * _REAL_PERCENT.get(percentage, percentage) / 100
        return _steps(float(light[np.searchsorted(reached, wanted)]))

    red, green, blue = (_steps(nits) for nits in max_nits)
    return ShotMetadata(
        target_nits=target_nits,
        max_scl=(red, green, blue),
        average_maxrgb=_steps(average_nits),
        distribution=tuple(value(percentage) for percentage in PERCENTAGES),
        curve=tone_curve(max(red, green, blue) / _STEPS_PER_NIT, target_nits),
    )


def _unpacked(light: ShotLight) -> Histogram:
    return np.frombuffer(zlib.decompress(base64.b85decode(light.histogram)), "<i8").astype(np.int64)


def _steps(nits: float) -> int:
    return min(round(nits * _STEPS_PER_NIT), _HIGHEST_STEP)

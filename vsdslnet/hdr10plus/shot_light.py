"""What is counted of a shot's frames."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

__all__ = ["HISTOGRAM_BINS", "Histogram", "ShotLight", "ShotMeter", "histogram_of"]

HISTOGRAM_BINS = 4096
"""PQ signal of each pixel's brightest channel in 12 bits: a step is 0.5 % of the light or less, above 1 cd/m²."""

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


def histogram_of(light: ShotLight) -> Histogram:
    """The counts, (4096,)."""
    return np.frombuffer(zlib.decompress(base64.b85decode(light.histogram)), "<i8").astype(np.int64)

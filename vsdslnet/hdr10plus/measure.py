"""From the light of frames to the metadata of their shot."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vsdslnet.hdr10plus.metadata import PERCENTAGES, ShotMetadata
from vsdslnet.hdr10plus.shot_light import HISTOGRAM_BINS, ShotLight, histogram_of
from vsdslnet.hdr10plus.tone_curve import pq_nits, tone_curve

__all__ = ["shot_metadata"]

_CODES = 65_535  # of the 16 bits that channels are measured in
_STEPS_PER_NIT = 10
_HIGHEST_STEP = 100_000
_ABOUT_WHITE_NITS = 100
_REAL_PERCENT = {5: 99.99, 99: 99.98}


def shot_metadata(lights: Iterable[ShotLight], *, target_nits: int) -> ShotMetadata:
    """What the frames of a shot are to carry, from the light of all of them.

    A percentile is the least light that so many percent of the shot's pixels do not exceed.
    """
    parts = list(lights)
    histogram = sum((histogram_of(part) for part in parts), np.zeros(HISTOGRAM_BINS, np.int64))
    max_nits = [float(pq_nits(max(part.max_codes[c] for part in parts) / _CODES)) for c in range(3)]
    average_nits = sum(part.sum_nits for part in parts) / sum(part.frames for part in parts)
    light = np.minimum(pq_nits((np.arange(HISTOGRAM_BINS) + 0.5) / HISTOGRAM_BINS), max(max_nits))
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


def _steps(nits: float) -> int:
    return min(round(nits * _STEPS_PER_NIT), _HIGHEST_STEP)

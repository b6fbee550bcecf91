"""Light of the delivered frames, measured inside VapourSynth (CTA-861.3 annex P; SMPTE ST 2094-40 for HDR10+)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import vapoursynth as vs

from vsdslnet.color.pq import nits_of_codes
from vsdslnet.hdr10plus.shot_light import HISTOGRAM_BINS, ShotMeter
from vsdslnet.plugin.caches import read_together

__all__ = ["add_to_shot", "frame_light_nits", "with_light", "with_shot_light"]

_MAX, _AVERAGE = "PlaneStatsMax", "PlaneStatsAverage"
_HISTOGRAM, _MAX_CODES = "DSLNetHistogram", "DSLNetMaxCodes"
_BIN_SHIFT = (65_536 // HISTOGRAM_BINS).bit_length() - 1


def with_light(delivered: vs.VideoNode) -> vs.VideoNode:
    """The PQ clip as the encoder gets it, its frames carrying the statistics that :func:`frame_light_nits` reads.

    Every pixel is decoded to R'G'B' as a display does it (bilinear chroma at its declared place, limited
    range, clipped to 0..1), its brightest channel is turned into cd/m²; then maximum and mean are taken.
    """
    return _measured(delivered, _brightest(_channels(delivered)))


def with_shot_light(delivered: vs.VideoNode) -> vs.VideoNode:
    """The clip of :func:`with_light` whose frames carry what :func:`add_to_shot` reads as well."""
    channels = _channels(delivered)
    brightest = _brightest(channels)

    def count(n: int, f: list[vs.VideoFrame]) -> vs.VideoFrame:
        delivered, brightest, *channels = f
        counted = delivered.copy()
        bins = np.bincount(np.asarray(brightest[0]).ravel() >> _BIN_SHIFT, minlength=HISTOGRAM_BINS)
        counted.props[_HISTOGRAM] = bins.astype(np.int64).tobytes()
        counted.props[_MAX_CODES] = [int(channel.props[_MAX]) for channel in channels]
        return counted

    sources = [_measured(delivered, brightest), brightest, *(channel.std.PlaneStats() for channel in channels)]
    return sources[0].std.ModifyFrame(sources, count)


def add_to_shot(frame: vs.VideoFrame, meter: ShotMeter) -> None:
    """Have a frame of :func:`with_shot_light` counted."""
    meter.add(
        max_codes=frame.props[_MAX_CODES],
        average_nits=frame_light_nits(frame)[1],
        histogram=np.frombuffer(frame.props[_HISTOGRAM], np.int64),
    )


def _channels(delivered: vs.VideoNode) -> list[vs.VideoNode]:
    """R', G' and B' in 16 bits, as grey clips."""
    rgb = read_together(delivered).resize.Bilinear(format=vs.RGB48, range_s="full")
    red, green, blue = (read_together(channel) for channel in read_together(rgb).std.SplitPlanes())
    return [red, green, blue]


def _brightest(channels: list[vs.VideoNode]) -> vs.VideoNode:
    return read_together(vs.core.std.Expr(channels, "x y max z max"))


def _measured(delivered: vs.VideoNode, brightest: vs.VideoNode) -> vs.VideoNode:
    nits = brightest.std.Lut(lutf=_nits_of_codes(), floatout=True).std.PlaneStats()
    return delivered.std.CopyFrameProps(nits, props=[_MAX, _AVERAGE])


def frame_light_nits(frame: vs.VideoFrame) -> tuple[float, float]:
    """(brightest pixel, frame average) in cd/m²: of a frame of :func:`with_light`, or as Convert said of another."""
    names = (_MAX, _AVERAGE) if _MAX in frame.props else ("DSLNetMaxNits", "DSLNetAverageNits")
    brightest, average = (float(frame.props[name]) for name in names)
    return brightest, average


@lru_cache(maxsize=1)
def _nits_of_codes() -> list[float]:
    nits: list[float] = nits_of_codes(16).tolist()
    return nits

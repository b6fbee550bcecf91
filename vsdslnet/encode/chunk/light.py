"""Light of the delivered frames, measured inside VapourSynth (CTA-861.3 annex P)."""

from __future__ import annotations

from functools import lru_cache

import vapoursynth as vs

__all__ = ["frame_light_nits", "with_light"]

_MAX, _AVERAGE = "PlaneStatsMax", "PlaneStatsAverage"


def with_light(delivered: vs.VideoNode) -> vs.VideoNode:
    """The YUV420P10 PQ clip, its frames carrying the statistics that :func:`frame_light_nits` reads.

    Every pixel is decoded to R'G'B' as a display does it (bilinear chroma at its declared place, limited
    range, clipped to 0..1), its brightest channel is turned into cd/m²; then maximum and mean are taken.
    """
    rgb = delivered.resize.Bilinear(format=vs.RGB48, range_s="full")
    red, green, blue = rgb.std.SplitPlanes()
    brightest = vs.core.std.Expr([red, green, blue], "x y max z max")
    nits = brightest.std.Lut(lutf=_nits_of_codes(), floatout=True).std.PlaneStats()
    return delivered.std.CopyFrameProps(nits, props=[_MAX, _AVERAGE])


def frame_light_nits(frame: vs.VideoFrame) -> tuple[float, float]:
    """(brightest pixel, frame average) of a frame of :func:`with_light`, in cd/m²."""
    return float(frame.props[_MAX]), float(frame.props[_AVERAGE])


@lru_cache(maxsize=1)
def _nits_of_codes() -> list[float]:
    """cd/m² of the 65,536 full-range 16-bit PQ codes."""
    import torch

    from vsdslnet.color.transfer import pq_to_nits

    codes = torch.arange(65_536, dtype=torch.float64) / 65_535
    return [float(nits) for nits in pq_to_nits(codes)]

"""Pictures of HDR pictures, for people with an SDR screen: tone-mapped, in false colour, as plots.

Pure functions from PQ BT.2020 R'G'B' (3, H, W) to 8-bit sRGB arrays (H, W, 3), or to PNG bytes.
Plots need matplotlib; the rest needs torch and numpy alone.
"""

from __future__ import annotations

from vsdslnet.views.pixels import (
    BANDS,
    Picture,
    false_colour_nits,
    luminance_nits,
    sdr_to_picture,
    tone_map_for_sdr,
)
from vsdslnet.views.plots import (
    difference_with_scale,
    false_colour_with_legend,
    gamut_plot,
    histogram_nits,
    light_over_time,
    versions_over_time,
    waveform_nits,
)
from vsdslnet.views.png import picture_png, pq_png
from vsdslnet.views.upright import upright

__all__ = [
    "BANDS",
    "Picture",
    "difference_with_scale",
    "false_colour_nits",
    "false_colour_with_legend",
    "gamut_plot",
    "histogram_nits",
    "light_over_time",
    "luminance_nits",
    "picture_png",
    "pq_png",
    "sdr_to_picture",
    "tone_map_for_sdr",
    "upright",
    "versions_over_time",
    "waveform_nits",
]

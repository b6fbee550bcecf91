"""Which of a source's properties no longer hold after the conversion, and where the new chroma sits."""

from __future__ import annotations

from vsdslnet.color.h273 import ChromaLocation

__all__ = ["STALE_PROPS", "chroma_location"]

# Light levels and dynamic metadata of whatever the source was made from.
STALE_PROPS = ("ContentLightLevelMax", "ContentLightLevelAverage", "DolbyVisionRPU", "HDR10Plus")


def chroma_location(subsampling_w: int, subsampling_h: int) -> ChromaLocation:
    """Where chroma sits: top-left for 4:2:0, as BT.2100 and HDR10 want it, left for the rest."""
    return ChromaLocation.TOP_LEFT if (subsampling_w, subsampling_h) == (1, 1) else ChromaLocation.LEFT

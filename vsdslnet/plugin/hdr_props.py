"""The frame properties that make an HDR10 frame known as one."""

from __future__ import annotations

from vsdslnet.color.h273 import ChromaLocation

__all__ = ["STALE_PROPS", "chroma_location", "mastering_display_props"]

# SMPTE ST 2086 colour volume of the display that HDR10 is customarily graded on: P3 primaries with a D65
# white, inside the BT.2020 container.
P3_D65_X = (0.680, 0.265, 0.150)
P3_D65_Y = (0.320, 0.690, 0.060)
D65_X, D65_Y = 0.3127, 0.3290
MASTERING_MIN_NITS = 0.0001

# What a source may say of itself that is no longer true of the converted frame.
STALE_PROPS = (
    "ContentLightLevelMax",
    "ContentLightLevelAverage",
    "DolbyVisionRPU",
    "HDR10Plus",
)


def mastering_display_props(peak_nits: float) -> dict[str, object]:
    """ST 2086 mastering display as VapourSynth's properties; red, green, blue in this order, light in nits."""
    return {
        "MasteringDisplayPrimariesX": list(P3_D65_X),
        "MasteringDisplayPrimariesY": list(P3_D65_Y),
        "MasteringDisplayWhitePointX": D65_X,
        "MasteringDisplayWhitePointY": D65_Y,
        "MasteringDisplayMinLuminance": MASTERING_MIN_NITS,
        "MasteringDisplayMaxLuminance": float(peak_nits),
    }


def chroma_location(subsampling_w: int, subsampling_h: int) -> ChromaLocation:
    """Where chroma sits: top-left for 4:2:0, as BT.2100 and HDR10 want it, left for the rest."""
    return ChromaLocation.TOP_LEFT if (subsampling_w, subsampling_h) == (1, 1) else ChromaLocation.LEFT

"""HDR10 static metadata: the mastering display (SMPTE ST 2086) and the content light level (CTA-861.3).

One description in cd/m² and CIE 1931 xy, and every spelling of it that encoders, containers and
VapourSynth want.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["DISPLAY_P3_D65", "ContentLight", "MasteringDisplay", "mastering_display"]

# ST 2086 and H.265 D.3.28: chromaticity in steps of 0.00002, luminance in steps of 0.0001 cd/m².
_XY_STEPS = 50_000
_NITS_STEPS = 10_000

Chromaticities = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]

# Red, green, blue, white as CIE 1931 xy: P3 (SMPTE EG 432-1) with D65, on which HDR10 is commonly graded.
DISPLAY_P3_D65: Chromaticities = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290))


@dataclass(frozen=True, kw_only=True)
class MasteringDisplay:
    """The display the picture was made for: R, G, B, white in xy; luminance in cd/m² (SMPTE ST 2086)."""

    chromaticities: Chromaticities
    min_nits: float
    max_nits: float

    def x265_text(self) -> str:
        """x265's ``--master-display`` value."""
        red, green, blue, white = (_xy_steps(xy) for xy in self.chromaticities)
        light = (round(self.max_nits * _NITS_STEPS), round(self.min_nits * _NITS_STEPS))
        named = zip(("G", "B", "R", "WP", "L"), (green, blue, red, white, light), strict=True)
        return "".join(f"{name}({a},{b})" for name, (a, b) in named)

    def svtav1_text(self) -> str:
        """SVT-AV1's ``--mastering-display`` value."""
        red, green, blue, white = self.chromaticities
        named = zip(("G", "B", "R", "WP"), (green, blue, red, white), strict=True)
        return "".join(f"{name}({x:.5f},{y:.5f})" for name, (x, y) in named) + (
            f"L({self.max_nits:.4f},{self.min_nits:.4f})"
        )

    def mp4_payload(self) -> bytes:
        """Body of an ``mdcv`` box and of the SEI (H.265 D.2.28): G, B, R, white, max, min; 24 bytes."""
        red, green, blue, white = (_xy_steps(xy) for xy in self.chromaticities)
        light = (round(self.max_nits * _NITS_STEPS), round(self.min_nits * _NITS_STEPS))
        return struct.pack(">8H2I", *green, *blue, *red, *white, *light)

    def frame_properties(self) -> dict[str, float | list[float]]:
        """VapourSynth's properties for it."""
        red, green, blue, white = self.chromaticities
        return {
            "MasteringDisplayPrimariesX": [red[0], green[0], blue[0]],
            "MasteringDisplayPrimariesY": [red[1], green[1], blue[1]],
            "MasteringDisplayWhitePointX": white[0],
            "MasteringDisplayWhitePointY": white[1],
            "MasteringDisplayMinLuminance": self.min_nits,
            "MasteringDisplayMaxLuminance": self.max_nits,
        }


@dataclass(frozen=True, kw_only=True)
class ContentLight:
    """MaxCLL and MaxFALL in whole cd/m² (CTA-861.3 annex P); 0 would mean "unknown", so at least 1."""

    max_cll_nits: int
    max_fall_nits: int

    @classmethod
    def measured(cls, max_nits: float, max_average_nits: float) -> ContentLight:
        """From the brightest pixel and the brightest frame average of the whole programme."""
        whole = (min(max(round(nits), 1), 65_535) for nits in (max_nits, max_average_nits))
        return cls(max_cll_nits=next(whole), max_fall_nits=next(whole))

    def x265_text(self) -> str:
        """x265's ``--max-cll`` value; SVT-AV1's ``--content-light`` is spelled the same."""
        return f"{self.max_cll_nits},{self.max_fall_nits}"

    def payload(self) -> bytes:
        """The four bytes of a ``clli`` box, of the SEI (H.265 D.2.35) and of AV1's metadata (5.8.3)."""
        return struct.pack(">2H", self.max_cll_nits, self.max_fall_nits)


def mastering_display(peak_nits: float) -> MasteringDisplay:
    """The display a picture converted with this peak is made for: P3 primaries, D65, up to the peak."""
    return MasteringDisplay(chromaticities=DISPLAY_P3_D65, min_nits=0.0001, max_nits=peak_nits)


def _xy_steps(xy: tuple[float, float]) -> tuple[int, int]:
    return round(xy[0] * _XY_STEPS), round(xy[1] * _XY_STEPS)

"""One shot's metadata, and its bits as HEVC and AV1 carry them.

The bits are those of ``user_data_registered_itu_t_t35`` for ST 2094-40 as CTA-861-H annex S prints them, with what the
HDR10+ profile leaves open: one window that is the whole picture, no actual peak luminance grids, nine percentiles.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PERCENTAGES", "ShotMetadata", "ToneCurve"]

PERCENTAGES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
"""What the nine values of the distribution are called in the bit stream. Three have another meaning than their name:
5 is the 99.99th percentile, 10 the share of pixels up to 100 cd/m² in whole percent, 99 the 99.98th percentile."""

# T.35: the United States, Samsung Electronics America, HDR10+.
_COUNTRY, _PROVIDER, _PROVIDER_ORIENTED = 0xB5, 0x003C, 0x0001
_APPLICATION, _VERSION, _WINDOWS = 4, 1, 1


@dataclass(frozen=True, kw_only=True)
class ToneCurve:
    """How the target display is to show the shot: a line up to the knee, then a Bézier curve to (1, 1).

    ``knee``     (x, y) in 1/4095: x of the shot's brightest channel, y of the target display's peak.
    ``anchors``  ordinates in 1/1023 between the knee and the end, evenly spaced control points of the curve.
    """

    knee: tuple[int, int]
    anchors: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ShotMetadata:
    """What every frame of a shot carries; light in steps of 0.1 cd/m², of R'G'B' made linear.

    ``target_nits``     peak of the display that the curve is for, in whole cd/m².
    ``max_scl``         brightest red, green and blue of the shot (MaxSCL).
    ``average_maxrgb``  mean over its pixels of the brightest channel.
    ``distribution``    nine values, named by :data:`PERCENTAGES`.
    """

    target_nits: int
    max_scl: tuple[int, int, int]
    average_maxrgb: int
    distribution: tuple[int, ...]
    curve: ToneCurve

    def t35_payload(self) -> bytes:
        """The message from its country code on: payload of SEI 4 (H.265 D.2.6) and of AV1's metadata type 4 (5.8.2)."""
        bits = _BitWriter()
        for value, width in (
            (_COUNTRY, 8),
            (_PROVIDER, 16),
            (_PROVIDER_ORIENTED, 16),
            (_APPLICATION, 8),
            (_VERSION, 8),
        ):
            bits.write(value, width)
        bits.write(_WINDOWS, 2)
        bits.write(self.target_nits, 27)
        bits.write(0, 1)  # targeted_system_display_actual_peak_luminance_flag
        for light in (*self.max_scl, self.average_maxrgb):
            bits.write(light, 17)
        bits.write(len(PERCENTAGES), 4)
        for percentage, light in zip(PERCENTAGES, self.distribution, strict=True):
            bits.write(percentage, 7)
            bits.write(light, 17)
        bits.write(0, 10)  # fraction_bright_pixels: HDR10+ leaves it at 0
        bits.write(0, 1)  # mastering_display_actual_peak_luminance_flag
        bits.write(1, 1)  # tone_mapping_flag
        for ordinate in self.curve.knee:
            bits.write(ordinate, 12)
        bits.write(len(self.curve.anchors), 4)
        for anchor in self.curve.anchors:
            bits.write(anchor, 10)
        bits.write(0, 1)  # color_saturation_mapping_flag
        return bits.to_bytes()


class _BitWriter:
    """Collects unsigned numbers, highest bit first."""

    def __init__(self) -> None:
        self._value = self._length = 0

    def write(self, value: int, width: int) -> None:
        """ValueError if the number does not fit."""
        if not 0 <= value < 1 << width:
            raise ValueError(f"{value} does not fit into {width} bits")
        self._value = self._value << width | value
        self._length += width

    def to_bytes(self) -> bytes:
        """What was written, filled up with zeros to whole bytes."""
        padding = -self._length % 8
        return (self._value << padding).to_bytes((self._length + padding) // 8)

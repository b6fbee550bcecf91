"""FFmpeg's AVDynamicHDRPlus, as PyAV gives it: bytes of a C structure (libavutil/hdr_dynamic_metadata.h)."""

from __future__ import annotations

from ctypes import Structure, c_int, c_uint8, c_uint16
from typing import Any

__all__ = ["read_side_data"]


class _Rational(Structure):
    _fields_ = (("num", c_int), ("den", c_int))


class _Percentile(Structure):
    _fields_ = (("percentage", c_uint8), ("percentile", _Rational))


class _Window(Structure):
    _fields_ = (
        ("corners", _Rational * 4),
        ("center", c_uint16 * 2),
        ("rotation_angle", c_uint8),
        ("axes", c_uint16 * 3),
        ("overlap_process_option", c_int),
        ("maxscl", _Rational * 3),
        ("average_maxrgb", _Rational),
        ("num_distribution_maxrgb_percentiles", c_uint8),
        ("distribution_maxrgb", _Percentile * 15),
        ("fraction_bright_pixels", _Rational),
        ("tone_mapping_flag", c_uint8),
        ("knee_point_x", _Rational),
        ("knee_point_y", _Rational),
        ("num_bezier_curve_anchors", c_uint8),
        ("bezier_curve_anchors", _Rational * 15),
        ("color_saturation_mapping_flag", c_uint8),
        ("color_saturation_weight", _Rational),
    )


class _DynamicHdrPlus(Structure):
    _fields_ = (
        ("itu_t_t35_country_code", c_uint8),
        ("application_version", c_uint8),
        ("num_windows", c_uint8),
        ("params", _Window * 3),
        ("targeted_system_display_maximum_luminance", _Rational),
        ("targeted_system_display_actual_peak_luminance_flag", c_uint8),
        ("rows", c_uint8),
        ("columns", c_uint8),
        ("peaks", (_Rational * 25) * 25),
        ("mastering_display_actual_peak_luminance_flag", c_uint8),
    )


def read_side_data(data: bytes) -> dict[str, Any]:
    """Every field that a stream can say, rationals as what they stand for in the steps of the stream."""
    read = _DynamicHdrPlus.from_buffer_copy(data)
    window = read.params[0]
    return {
        "country": read.itu_t_t35_country_code,
        "version": read.application_version,
        "windows": read.num_windows,
        "target_nits": _steps(read.targeted_system_display_maximum_luminance, 1),
        "target_peaks": read.targeted_system_display_actual_peak_luminance_flag,
        "max_scl": tuple(_steps(value, 100_000) for value in window.maxscl),
        "average_maxrgb": _steps(window.average_maxrgb, 100_000),
        "distribution": {
            entry.percentage: _steps(entry.percentile, 100_000)
            for entry in window.distribution_maxrgb[: window.num_distribution_maxrgb_percentiles]
        },
        "fraction_bright_pixels": _steps(window.fraction_bright_pixels, 1000),
        "mastering_peaks": read.mastering_display_actual_peak_luminance_flag,
        "tone_mapping": window.tone_mapping_flag,
        "knee": (_steps(window.knee_point_x, 4095), _steps(window.knee_point_y, 4095)),
        "anchors": tuple(
            _steps(anchor, 1023) for anchor in window.bezier_curve_anchors[: window.num_bezier_curve_anchors]
        ),
        "saturation": window.color_saturation_mapping_flag,
    }


def _steps(value: Any, steps: int) -> int:
    assert value.den == steps
    return int(value.num)

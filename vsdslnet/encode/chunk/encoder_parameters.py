"""What encoders are told: settings -> their own names and parameters, HDR10 included."""

from __future__ import annotations

from typing import NamedTuple

from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.hdr10 import ContentLight, mastering_display

__all__ = [
    "INTRA_ENCODERS",
    "PLACEHOLDER_LIGHT",
    "IntraParameters",
    "one_spelling",
    "preset_and_crf",
    "svt_parameters",
    "x265_parameters",
]

# The stream must hold this SEI from the start, so that it can be patched when the programme is measured.
PLACEHOLDER_LIGHT = ContentLight(max_cll_nits=1000, max_fall_nits=400)

_X265_PRESETS = {"draft": ("veryfast", 22.0), "balanced": ("medium", 18.0), "archive": ("slow", 14.0)}
_SVT_PRESETS = {"draft": ("10", 32.0), "balanced": ("7", 26.0), "archive": ("4", 18.0)}


class IntraParameters(NamedTuple):
    """FFmpeg's ``name`` of an encoder, and of its profiles and pixel formats, by ours."""

    name: str
    profiles: dict[str, str]
    pixel_formats: dict[str, str]


INTRA_ENCODERS = {
    "prores": IntraParameters(
        "prores_ks", {"hq": "hq", "4444": "4444"}, {"YUV422P10": "yuv422p10le", "YUV444P10": "yuv444p10le"}
    ),
    "dnxhr": IntraParameters("dnxhd", {"hq": "dnxhr_hqx"}, {"YUV422P10": "yuv422p10le"}),
}
"""By codec."""


def preset_and_crf(settings: EncodeSettings) -> tuple[str, float]:
    """The encoder's own name for the preset, and the quality asked for or the preset's."""
    presets = _X265_PRESETS if settings.codec == "hevc" else _SVT_PRESETS
    speed, crf = presets[settings.preset]
    return speed, crf if settings.crf is None else settings.crf


def x265_parameters(settings: EncodeSettings, *, frames: int) -> dict[str, str]:
    """x265's parameters for a chunk: HDR10 or HLG, one closed GOP, a result that does not depend on the machine."""
    hdr10 = {
        "master-display": mastering_display(settings.peak_nits).x265_text(),
        "max-cll": PLACEHOLDER_LIGHT.x265_text(),
        "hdr10": "1",
        "hdr10-opt": "1",
    }
    return {
        "colorprim": "bt2020",
        "transfer": "smpte2084" if settings.transfer == "pq" else "arib-std-b67",
        "colormatrix": "bt2020nc",
        "range": "limited",
        "chromaloc": "2",
        **(hdr10 if settings.transfer == "pq" else {}),
        "repeat-headers": "1",
        "aud": "0",
        "open-gop": "0",
        "keyint": str(max(frames, 2)),
        "min-keyint": str(max(frames, 2)),
        "scenecut": "0",
        # The number of frame threads changes the bits; by default it follows the number of cores.
        "frame-threads": "2",
        # x265's analysis for weighted prediction reads memory that nothing wrote (seen in libx265 of PyAV 19
        # as streams that differ from run to run); without it the same frames give the same bits.
        "weightp": "0",
        "info": "0",
        **settings.parameters,
    }


def svt_parameters(settings: EncodeSettings) -> dict[str, str]:
    """SVT-AV1's parameters for a chunk."""
    hdr10 = {
        "mastering-display": mastering_display(settings.peak_nits).svtav1_text(),
        "content-light": PLACEHOLDER_LIGHT.x265_text(),
    }
    return {
        **(hdr10 if settings.transfer == "pq" else {}),
        "chroma-sample-position": "topleft",
        "scd": "0",
        **settings.parameters,
    }


def one_spelling(name: str, value: str) -> tuple[str, str]:
    """A parameter's name and value in the one of several spellings that all others come to."""
    name = name.replace("_", "-")
    value = {"true": "1", "yes": "1", "false": "0", "no": "0"}.get(value.lower(), value)
    if name.startswith("no-") and value in ("0", "1"):
        return name.removeprefix("no-"), "1" if value == "0" else "0"
    return name, value

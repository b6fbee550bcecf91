"""What an encode can be asked for: the strict, serialisable description that its journal remembers."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from vsdslnet.errors import ArgumentError
from vsdslnet.inference.settings import ConvertSettings

__all__ = ["Codec", "EncodeSettings", "EncoderChoice", "Preset"]

Codec = Literal["hevc", "av1"]
EncoderChoice = Literal["auto", "x265", "av"]
Preset = Literal["draft", "balanced", "archive"]

# What makes the file HDR10 or a chunk joinable; a user's parameters may not touch it. x265's names, without "no-":
_PROTECTED_X265 = frozenset(
    {
        "annexb", "aud", "b-intra-refresh", "chromaloc", "cll", "colormatrix", "colorprim", "crf", "hdr",
        "hdr10", "input", "input-csp", "input-depth", "input-res", "intra-refresh", "keyint", "level-idc",
        "frames", "fps", "frame-threads", "master-display", "max-cll", "open-gop", "output", "output-depth",
        "preset", "profile", "radl", "range", "repeat-headers", "sar", "seek", "temporal-layers", "transfer",
        "y4m", "info", "pass", "bitrate", "qp", "lossless", "hrd", "slices", "field", "interlace", "vbv-end",
        "uhd-bd", "dolby-vision-profile", "single-sei",
    }
)  # fmt: skip
# and SVT-AV1's:
_PROTECTED_SVT = frozenset(
    {
        "avif", "chroma-sample-position", "color-format", "color-primaries", "color-range", "content-light", "crf",
        "enable-force-key-frames", "forced-max-frame-height", "forced-max-frame-width", "fps-denom", "fps-num",
        "frame-resz-denoms", "frame-resz-events", "frame-resz-kf-denoms", "height", "input-depth", "intra-period",
        "irefresh-type", "keyint", "level", "lossless", "mastering-display", "matrix-coefficients", "mbr", "pass",
        "preset", "profile", "qp", "rc", "resize-denom", "resize-kf-denom", "resize-mode", "sframe-dist",
        "sframe-mode", "sframe-posi", "sframe-qp", "sframe-qp-offset", "tbr", "tier", "transfer-characteristics",
        "width",
    }
)  # fmt: skip


class EncodeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides what the encoded chunks hold.

    ``model`` .. ``backend``, ``matrix_in`` .. ``scene_cuts``: as in ``core.dslnet.Convert``.
    ``codec``              "hevc" (HDR10's own) or "av1".
    ``encoder``            "x265": the program; "av": the one inside PyAV; "auto": x265 if it is on the PATH.
    ``preset``             how much time the encoder may take.
    ``crf``                constant quality, lower is better; None: the preset's.
    ``parameters``         further x265 (or SVT-AV1) parameters by name.
    ``chunk_frames``       most frames a chunk may have: what a crash can cost, and the longest GOP.
    """

    model: str = "dslnet"
    peak_nits: float = 1000.0
    strength: float = 1.0
    saturation: float = 1.0
    device: str = "auto"
    device_index: int = 0
    precision: str = "auto"
    backend: str = "auto"
    tile: tuple[int, int] | None = None
    matrix_in: int | None = None
    transfer_in: int | None = None
    primaries_in: int | None = None
    range_in: int | None = None
    chromaloc_in: int | None = None
    scene_cuts: str = "detect"
    codec: Codec = "hevc"
    encoder: EncoderChoice = "auto"
    preset: Preset = "balanced"
    crf: float | None = None
    parameters: dict[str, str] = {}
    chunk_frames: int = 120

    def __post_init__(self) -> None:
        self.convert_settings()
        for argument, value, choices in (
            ("codec", self.codec, Codec),
            ("encoder", self.encoder, EncoderChoice),
            ("preset", self.preset, Preset),
        ):
            if value not in get_args(choices):
                raise ArgumentError(argument, value, "one of " + ", ".join(get_args(choices)))
        top = 51 if self.codec == "hevc" else 63
        if self.crf is not None and not 0 <= self.crf <= top:
            raise ArgumentError("crf", self.crf, f"a number from 0 to {top}", "lower is better and larger")
        if not 8 <= self.chunk_frames <= 2000:
            raise ArgumentError("chunk_frames", self.chunk_frames, "8 to 2000 frames")
        for name in self.parameters:
            if _is_protected(name, self.codec):
                raise ArgumentError("params", name, "any parameter but those that make the file HDR10", "leave it out")

    def convert_settings(self) -> ConvertSettings:
        """The part that the converter validates and shares."""
        return ConvertSettings(
            model=self.model,
            peak_nits=self.peak_nits,
            strength=self.strength,
            saturation=self.saturation,
            device=self.device,
            device_index=self.device_index,
            precision=self.precision,
            backend=self.backend,
            tile=self.tile,
        )


def _is_protected(name: str, codec: Codec) -> bool:
    """Whether a parameter, as the encoder would read its name, is one that the file depends on."""
    if codec == "av1":
        return name in _PROTECTED_SVT
    return name.replace("_", "-").removeprefix("no-") in _PROTECTED_X265


def parse_parameters(text: str) -> dict[str, str]:
    """``name=value:name=value`` as x265 spells it -> a dictionary; a bare name means 1."""
    pairs = (part.partition("=") for part in text.split(":") if part)
    return {name.strip().removeprefix("--"): value.strip() or "1" for name, _, value in pairs}

"""What an encode can be asked for, as its journal remembers it."""

from __future__ import annotations

from dataclasses import dataclass

from vsdslnet.errors import ArgumentError, is_utf8
from vsdslnet.option_specs import another_default, specs
from vsdslnet.options import (
    FAST_MODEL,
    FULL_MODEL,
    BackendOptions,
    Codec,
    ColorOptions,
    CutsFrom,
    EncoderOptions,
    LookOptions,
    ModelOptions,
    SceneOptions,
    SourceOptions,
    TransferOptions,
)

__all__ = ["AUTO_MODEL", "Codec", "EncodeSettings"]

AUTO_MODEL = "auto"

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


# Options that only some codecs have, by field.
_OF_SOME: dict[str, tuple[Codec, ...]] = {
    "crf": ("hevc", "av1"),
    "preset": ("hevc", "av1"),
    "encoder": ("hevc", "av1"),
    "parameters": ("hevc", "av1"),
    "hdr10plus": ("hevc", "av1"),
    "profile": ("prores",),
    "exr_white_nits": ("exr",),
    "exr_primaries": ("exr",),
    "start_number": ("exr", "png", "tiff"),
}


@dataclass(frozen=True, kw_only=True)
class EncodeSettings(
    EncoderOptions,
    BackendOptions,
    SceneOptions,
    SourceOptions,
    ColorOptions,
    TransferOptions,
    LookOptions,
    ModelOptions,
):
    """Everything that decides what the encoded chunks hold; its journal remembers it.

    >>> EncodeSettings(codec="av1", crf=60).chunk_frames
    120
    """

    model: str = another_default(
        ModelOptions, "model", AUTO_MODEL, more=f"auto is {FAST_MODEL}, and {FULL_MODEL} with preset archive."
    )
    scene_cuts: CutsFrom = another_default(SceneOptions, "scene_cuts", "detect")

    def __post_init__(self) -> None:
        if self.model == AUTO_MODEL:
            # From here on there is a model by name: whatever asks, whatever was written down.
            object.__setattr__(self, "model", FULL_MODEL if self.preset == "archive" else FAST_MODEL)
        super().__post_init__()
        for spec in specs(type(self)):
            codecs = _OF_SOME.get(spec.field)
            given = getattr(self, spec.field)
            if codecs is not None and self.codec not in codecs and given != spec.default:
                raise ArgumentError(spec.name, given, f"only with codec {' or '.join(codecs)}", "leave it out")
        if self.transfer == "hlg" and self.codec in ("exr", "tiff"):
            why = "exr holds linear light" if self.codec == "exr" else "no ICC profile says HLG to those without cicp"
            raise ArgumentError("transfer", "hlg", f"only with other codecs than {self.codec}", f"leave it out: {why}")
        top = 51 if self.codec == "hevc" else 63
        if self.crf is not None and self.crf > top:
            raise ArgumentError("crf", self.crf, f"a number from 0 to {top}", "lower is better and larger")
        if self.hdr10plus and self.transfer != "pq":
            raise ArgumentError("hdr10plus", True, "only with transfer pq", "leave it out: HLG has no such metadata")
        for name, value in self.parameters.items():
            if not is_utf8(f"{name}={value}"):
                raise ArgumentError("params", f"{name}={value}", "UTF-8")
            if _is_protected(name, self.codec):
                raise ArgumentError("params", name, "any parameter but those that make the file HDR10", "leave it out")


def _is_protected(name: str, codec: Codec) -> bool:
    """Whether a parameter, as the encoder would read its name, is one that the file depends on."""
    if codec == "av1":
        return name in _PROTECTED_SVT
    return name.replace("_", "-").removeprefix("no-") in _PROTECTED_X265

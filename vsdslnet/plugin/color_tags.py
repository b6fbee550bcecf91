"""What a frame says about its colours, what is guessed where it is silent, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import vapoursynth as vs

from vsdslnet.color.h273 import ChromaLocation, Matrix, Primaries, Range, Transfer
from vsdslnet.errors import ArgumentError, ClipError
from vsdslnet.options import ColorOptions

__all__ = ["ColorOverrides", "ColorTags", "guess_tags", "read_tags"]

# What zimg can convert from; other H.273 codes are reserved, or need data that frame properties do not carry.
_MATRICES = frozenset({1, 4, 5, 6, 7, 8, 9, 10, 12, 13})
_TRANSFERS = frozenset({1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17})
_PRIMARIES = frozenset(int(code) for code in Primaries if code != Primaries.UNSPECIFIED)
# Players read missing primaries off a matrix that belongs to one standard.
_PRIMARIES_OF_MATRIX: dict[int, int] = {
    Matrix.BT709: Primaries.BT709,
    Matrix.BT2020_NCL: Primaries.BT2020,
    Matrix.BT2020_CL: Primaries.BT2020,
}
_HDR_TRANSFERS = frozenset({Transfer.PQ, Transfer.HLG})
_HDR_CURE = "Convert is for SDR; leave HDR clips alone, or say transfer_in=1 if the tag is wrong"


@dataclass(frozen=True, kw_only=True)
class ColorTags:
    """H.273 codes of one frame, complete; ``range`` is VapourSynth's ``_Range`` (1 full, 0 limited)."""

    matrix: int
    transfer: int
    primaries: int
    range: int
    chroma_location: int

    def as_props(self, color_family: vs.ColorFamily) -> dict[str, int]:
        """The frame properties that say the same to ``core.resize``."""
        props = {
            "_Matrix": self.matrix,
            "_Transfer": self.transfer,
            "_Primaries": self.primaries,
            "_Range": self.range,
        }
        if color_family == vs.YUV:
            props["_ChromaLocation"] = self.chroma_location
        return props


@dataclass(frozen=True, kw_only=True)
class ColorOverrides(ColorOptions):
    """Convert's ``*_in`` arguments: what the user knows better than the frame; None believes the frame."""

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = {
            "matrix_in": _MATRICES | {0},
            "transfer_in": _TRANSFERS,
            "primaries_in": _PRIMARIES,
            "range_in": frozenset(Range),
            "chromaloc_in": frozenset(ChromaLocation),
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None or value in allowed[field.name]:
                continue
            if field.name == "transfer_in" and value in _HDR_TRANSFERS:
                raise ArgumentError(field.name, value, "an SDR transfer (PQ and HLG are HDR)", _HDR_CURE)
            codes = ", ".join(str(int(code)) for code in sorted(allowed[field.name]))
            raise ArgumentError(field.name, value, f"an H.273 code out of {codes}", "leave it out to believe the clip")

    def check_family(self, color_family: vs.ColorFamily) -> None:
        """RGB has no matrix and everything else has one."""
        if self.matrix_in is not None and (self.matrix_in == Matrix.RGB) != (color_family == vs.RGB):
            allowed = "0 for an RGB clip" if color_family == vs.RGB else "a YUV matrix (1, 5, 6, 9, ...) for this clip"
            raise ArgumentError("matrix_in", self.matrix_in, allowed, "leave it out to believe the clip")

    def apply(self, tags: ColorTags) -> ColorTags:
        """The tags with the user's word in place of the frame's."""
        changes = {
            "matrix": self.matrix_in,
            "transfer": self.transfer_in,
            "primaries": self.primaries_in,
            "range": self.range_in,
            "chroma_location": self.chromaloc_in,
        }
        return replace(tags, **{name: int(value) for name, value in changes.items() if value is not None})


def guess_tags(color_family: vs.ColorFamily, width: int, height: int) -> ColorTags:
    """What players assume of an untagged clip of this size in pixels (mpv's rules).

    At least 1280 wide or more than 576 high is BT.709, smaller is BT.601 with PAL (576 lines) or NTSC (480,
    486 lines) primaries, BT.709's otherwise. RGB is full range, the rest limited. Whatever the size, the
    transfer is that of video (BT.709's, seen on a BT.1886 display).
    """
    if color_family == vs.RGB:
        return ColorTags(
            matrix=Matrix.RGB, transfer=Transfer.BT709, primaries=Primaries.BT709, range=Range.FULL, chroma_location=0
        )
    is_sd = width < 1280 and height <= 576
    sd_primaries = {576: Primaries.BT470BG, 480: Primaries.ST170M, 486: Primaries.ST170M}
    return ColorTags(
        matrix=Matrix.ST170M if is_sd else Matrix.BT709,
        transfer=Transfer.BT709,
        primaries=sd_primaries.get(height, Primaries.BT709) if is_sd else Primaries.BT709,
        range=Range.LIMITED,
        chroma_location=ChromaLocation.LEFT,
    )


def read_tags(
    props: Mapping[str, object], color_family: vs.ColorFamily, guess: ColorTags, overrides: ColorOverrides
) -> ColorTags:
    """The tags of one frame: the user's word, else the frame's, else the guess.

    Codes that H.273 reserves, or that contradict the colour family, count as silence. Raises ClipError for
    interlaced and for HDR frames.
    """
    if _integer(props, "_FieldBased", 0) > 0:
        raise ClipError(
            "the clip is interlaced (_FieldBased > 0): deinterlace it first, or say "
            "core.std.SetFieldBased(clip, 0) if it is progressive after all"
        )
    transfer = _integer(props, "_Transfer", Transfer.UNSPECIFIED)
    if overrides.transfer_in is None and transfer in _HDR_TRANSFERS:
        name = "PQ" if transfer == Transfer.PQ else "HLG"
        raise ClipError(f"the clip is HDR already (_Transfer={transfer}, {name}): {_HDR_CURE}")
    matrix = _integer(props, "_Matrix", Matrix.UNSPECIFIED)
    primaries = _integer(props, "_Primaries", Primaries.UNSPECIFIED)
    value_range = _integer(props, "_Range", -1)  # the core mirrors the older, inverted _ColorRange into it
    chroma_location = _integer(props, "_ChromaLocation", -1)
    is_yuv_matrix = color_family != vs.RGB and matrix in _MATRICES
    if primaries not in _PRIMARIES:
        primaries = _PRIMARIES_OF_MATRIX.get(matrix, guess.primaries) if is_yuv_matrix else guess.primaries
    return overrides.apply(
        ColorTags(
            matrix=matrix if is_yuv_matrix else guess.matrix,
            transfer=transfer if transfer in _TRANSFERS else guess.transfer,
            primaries=primaries,
            range=value_range if value_range in frozenset(Range) else guess.range,
            chroma_location=chroma_location if chroma_location in frozenset(ChromaLocation) else guess.chroma_location,
        )
    )


def _integer(props: Mapping[str, object], name: str, default: int) -> int:
    """A property as an integer; scripts can store anything under any name, and that counts as silence."""
    value = props.get(name)
    return int(value) if isinstance(value, int) else default

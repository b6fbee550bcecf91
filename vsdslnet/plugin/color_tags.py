"""What a frame says about its colours, what is guessed where it is silent, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import vapoursynth as vs

from vsdslnet.color.h273 import ChromaLocation, Matrix, Primaries, Range, Transfer
from vsdslnet.errors import ArgumentError, ClipError
from vsdslnet.options import ColorOptions
from vsdslnet.plugin.hdr_signs import HDR_TRANSFERS, SDR_TRANSFERS, first_integer, hdr_sign

__all__ = ["ColorOverrides", "ColorTags", "guess_tags", "read_tags"]

# What zimg can convert from; other H.273 codes are reserved, or need data that frame properties do not carry.
_MATRICES = frozenset({1, 4, 5, 6, 7, 8, 9, 10, 12, 13})
_PRIMARIES = frozenset(int(code) for code in Primaries if code != Primaries.UNSPECIFIED)
# Players read missing primaries off a matrix that belongs to one standard.
_PRIMARIES_OF_MATRIX: dict[int, int] = {
    Matrix.BT709: Primaries.BT709,
    Matrix.BT2020_NCL: Primaries.BT2020,
    Matrix.BT2020_CL: Primaries.BT2020,
}
# What zimg takes beside a matrix of constant luminance, and beside one that is derived from the primaries.
_CONSTANT_LUMINANCE_TRANSFERS = frozenset({1, 6, 7, 14, 15})
_DERIVING_PRIMARIES = _PRIMARIES - {Primaries.ST428}  # XYZ has no luma
_DERIVED_MATRICES = frozenset({Matrix.CHROMATICITY_NCL, Matrix.CHROMATICITY_CL})
_HDR_CURE = "Convert is for SDR; leave HDR clips alone, or say transfer_in=1 if it is SDR after all"


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
            "transfer_in": SDR_TRANSFERS,
            "primaries_in": _PRIMARIES,
            "range_in": frozenset(Range),
            "chromaloc_in": frozenset(ChromaLocation),
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None or value in allowed[field.name]:
                continue
            if field.name == "transfer_in" and value in HDR_TRANSFERS:
                raise ArgumentError(field.name, value, "an SDR transfer (PQ and HLG are HDR)", _HDR_CURE)
            codes = ", ".join(str(int(code)) for code in sorted(allowed[field.name]))
            raise ArgumentError(field.name, value, f"an H.273 code out of {codes}", "leave it out to believe the clip")
        if not _can_go_together(self.matrix_in, self.transfer_in, self.primaries_in):
            beside = (
                f"beside transfer_in={self.transfer_in}, any but 10"
                if self.matrix_in == Matrix.BT2020_CL
                else f"beside primaries_in={self.primaries_in}, any but 12 and 13"
            )
            raise ArgumentError("matrix_in", self.matrix_in, beside, "leave one of the two out")

    def check_family(self, color_family: vs.ColorFamily) -> None:
        """RGB has no matrix and everything else has one."""
        if self.matrix_in is not None and (self.matrix_in == Matrix.RGB) != (color_family == vs.RGB):
            allowed = "0 for an RGB clip" if color_family == vs.RGB else "a YUV matrix (1, 5, 6, 9, ...) for this clip"
            raise ArgumentError("matrix_in", self.matrix_in, allowed, "leave it out to believe the clip")


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
    """The tags of one frame: the user's word, else the frame's, else the guess; ``core.resize`` takes every result.

    Codes that H.273 reserves, that contradict the colour family, or that nothing converts count as silence, and so
    does a code that can't go with what the user says. BT.2020's constant luminance beside a transfer that has none
    is read as its non-constant luminance. Raises ClipError for interlaced and for HDR frames.
    """
    if (first_integer(props, "_FieldBased") or 0) > 0:
        raise ClipError(
            "the clip is interlaced (_FieldBased > 0): deinterlace it first, or say "
            "core.std.SetFieldBased(clip, 0) if it is progressive after all"
        )
    if overrides.transfer_in is None:
        sign = hdr_sign(props, believe_matrix=overrides.matrix_in is None)
        if sign:
            raise ClipError(f"the clip is HDR already ({sign}): {_HDR_CURE}")

    def told(name: str, user: int | None, allowed: frozenset[int]) -> int | None:
        value = first_integer(props, name)
        return user if user is not None else value if value in allowed else None

    matrices = _MATRICES if color_family != vs.RGB else frozenset({int(Matrix.RGB)})
    matrix = told("_Matrix", overrides.matrix_in, matrices)
    transfer = told("_Transfer", overrides.transfer_in, SDR_TRANSFERS)
    primaries = told("_Primaries", overrides.primaries_in, _PRIMARIES)
    value_range = told("_Range", overrides.range_in, frozenset(Range))  # the core mirrors _ColorRange into it
    chroma_location = told("_ChromaLocation", overrides.chromaloc_in, frozenset(ChromaLocation))
    if not _can_go_together(matrix, transfer, primaries):
        if overrides.matrix_in is None:
            matrix = int(Matrix.BT2020_NCL) if matrix == Matrix.BT2020_CL else None
        elif matrix == Matrix.BT2020_CL:
            transfer = None
        else:
            primaries = None
    if primaries is None and matrix is not None:
        primaries = _PRIMARIES_OF_MATRIX.get(matrix)
    return ColorTags(
        matrix=guess.matrix if matrix is None else matrix,
        transfer=guess.transfer if transfer is None else transfer,
        primaries=guess.primaries if primaries is None else primaries,
        range=guess.range if value_range is None else value_range,
        chroma_location=guess.chroma_location if chroma_location is None else chroma_location,
    )


def _can_go_together(matrix: int | None, transfer: int | None, primaries: int | None) -> bool:
    """Whether ``core.resize`` takes these codes at the same time; None goes with everything."""
    if matrix == Matrix.BT2020_CL and transfer is not None:
        return transfer in _CONSTANT_LUMINANCE_TRANSFERS
    if matrix in _DERIVED_MATRICES and primaries is not None:
        return primaries in _DERIVING_PRIMARIES
    return True

"""Code points of ITU-T H.273 (07/2024) that this project meets, by their names in VapourSynth; luma weights."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["BT709_LUMA", "BT2020_LUMA", "ChromaLocation", "Matrix", "Primaries", "Range", "Transfer"]

BT709_LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of luma in matrix 1 (BT.709-6 item 3.2)."""

BT2020_LUMA = (0.2627, 0.6780, 0.0593)
"""Weights of luma in matrices 9 and 10 (BT.2020-2 table 4)."""


class Primaries(IntEnum):
    """ColourPrimaries, H.273 table 2."""

    BT709 = 1
    UNSPECIFIED = 2
    BT470M = 4
    BT470BG = 5
    ST170M = 6
    ST240M = 7
    FILM = 8
    BT2020 = 9
    ST428 = 10
    ST431_2 = 11
    ST432_1 = 12
    EBU3213 = 22


class Transfer(IntEnum):
    """TransferCharacteristics, H.273 table 3."""

    BT709 = 1
    UNSPECIFIED = 2
    BT470M = 4
    BT470BG = 5
    ST170M = 6
    ST240M = 7
    LINEAR = 8
    LOG_100 = 9
    LOG_316 = 10
    XVYCC = 11
    SRGB = 13
    BT2020_10 = 14
    BT2020_12 = 15
    PQ = 16
    ST428 = 17
    HLG = 18


class Matrix(IntEnum):
    """MatrixCoefficients, H.273 table 4."""

    RGB = 0
    BT709 = 1
    UNSPECIFIED = 2
    FCC = 4
    BT470BG = 5
    ST170M = 6
    ST240M = 7
    YCGCO = 8
    BT2020_NCL = 9
    BT2020_CL = 10
    CHROMATICITY_NCL = 12
    CHROMATICITY_CL = 13
    ICTCP = 14


class Range(IntEnum):
    """VideoFullRangeFlag as VapourSynth's ``_Range`` (R74) carries it."""

    LIMITED = 0
    FULL = 1


class ChromaLocation(IntEnum):
    """Chroma420SampleLocType, H.273 clause 8.7; left is MPEG-2's, top-left is HDR10's."""

    LEFT = 0
    CENTER = 1
    TOP_LEFT = 2
    TOP = 3
    BOTTOM_LEFT = 4
    BOTTOM = 5

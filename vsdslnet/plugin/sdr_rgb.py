"""What the network is shown: R'G'B', BT.709 primaries, display-referred BT.1886 code values, full range."""

from __future__ import annotations

import vapoursynth as vs

from vsdslnet.color.h273 import Matrix, Primaries, Range, Transfer

__all__ = ["to_sdr_rgb"]


def to_sdr_rgb(
    clip: vs.VideoNode,
    *,
    width: int | None = None,
    height: int | None = None,
    format: vs.PresetVideoFormat = vs.RGBS,
) -> vs.VideoNode:
    """A clip with complete colour tags as the network wants it, in another size or format if one is given.

    Curves (for other primaries than BT.709's they are needed as well) by their formulas: left alone, zimg takes them
    from a half-precision table on AVX2 and from polynomials on AVX-512, 20 codes of 16 bits off near black.
    """
    return clip.resize.Bicubic(
        width=width,
        height=height,
        format=format,
        matrix=Matrix.RGB,
        transfer=Transfer.BT709,
        primaries=Primaries.BT709,
        range=Range.FULL,
        approximate_gamma=False,
    )

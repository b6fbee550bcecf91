"""What the network is shown: R'G'B', BT.709 primaries, display-referred BT.1886 code values, full range."""

from __future__ import annotations

import vapoursynth as vs

from vsdslnet.color.h273 import Matrix, Primaries, Range, Transfer
from vsdslnet.plugin.color_tags import ColorOverrides
from vsdslnet.plugin.frames import tag_selector

__all__ = ["tagged", "to_sdr_rgb", "to_sdr_yuv"]


def tagged(clip: vs.VideoNode, overrides: ColorOverrides) -> vs.VideoNode:
    """The clip with complete colour tags on every frame; a frame that is interlaced or HDR is an error."""
    return vs.core.dslnet.Window(clip, tag_selector(clip, overrides), radius=0)


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


def to_sdr_yuv(clip: vs.VideoNode) -> vs.VideoNode:
    """:func:`to_sdr_rgb` as YUV444P16 with BT.709's matrix, limited range: what most films are but for their chroma."""
    return clip.resize.Bicubic(
        format=vs.YUV444P16,
        matrix=Matrix.BT709,
        transfer=Transfer.BT709,
        primaries=Primaries.BT709,
        range=Range.LIMITED,
        approximate_gamma=False,
    )

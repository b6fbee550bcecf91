"""What the network is shown: R'G'B', BT.709 primaries, display-referred BT.1886 code values, full range."""

from __future__ import annotations

import vapoursynth as vs

from vsdslnet.color.h273 import Matrix, Primaries, Range, Transfer

__all__ = ["exact_rgb", "to_sdr_rgb"]


def exact_rgb(source: vs.VideoFormat) -> vs.PresetVideoFormat:
    """The R'G'B' format that holds what ``source`` does; half the memory of floats is half the time at 2160p."""
    return vs.RGBS if source.sample_type == vs.FLOAT else vs.RGB48


def to_sdr_rgb(
    clip: vs.VideoNode,
    *,
    width: int | None = None,
    height: int | None = None,
    format: vs.PresetVideoFormat = vs.RGBS,
) -> vs.VideoNode:
    """A clip with complete colour tags as the network wants it, in another size or format if one is given."""
    return clip.resize.Bicubic(
        width=width,
        height=height,
        format=format,
        matrix=Matrix.RGB,
        transfer=Transfer.BT709,
        primaries=Primaries.BT709,
        range=Range.FULL,
    )

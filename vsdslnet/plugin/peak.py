"""Keeps what a player decodes from the delivered frames within the peak.

Every R'G'B' pixel is within it before chroma is subsampled. Afterwards a player puts each pixel's own luma
together with chroma blended from its neighbours, and beside a saturated highlight that sum can pass the peak:
1000 nits of white with some of a red neighbour's chroma decode to 2000. No kernel cures it (a bilinear one
without negative lobes came out as bright as the bicubic one, and blurrier), so luma gives way, at those pixels
only. Taking chroma back instead was tried: it is spread over more pixels and did more harm (mean dE_ITP around
such pixels, against the frame before subsampling, on two clips: 5.3 and 9.7 instead of 4.7 and 7.2).

Below black nothing has to be done: decoders clip there, and what is dark stays dark.
"""

from __future__ import annotations

import vapoursynth as vs

from vsdslnet.color.h273 import BT2020_LUMA, ChromaLocation
from vsdslnet.color.pq import pq_scalar
from vsdslnet.plugin.caches import read_together

__all__ = ["graph_within_peak", "within_peak"]

_KR, _KG, _KB = BT2020_LUMA
# R' - Y' and so on out of Cb and Cr of -0.5..0.5 (BT.2020-2 table 4, non-constant luminance).
_RED_OF_CR, _BLUE_OF_CB = 2 * (1 - _KR), 2 * (1 - _KB)
_GREEN_OF_CR, _GREEN_OF_CB = -_KR * _RED_OF_CR / _KG, -_KB * _BLUE_OF_CB / _KG


def within_peak(clip: vs.VideoNode, peak_nits: float) -> vs.VideoNode:
    """The PQ clip (BT.2020, non-constant luminance, YUV and Gray limited, RGB full range), no pixel above the peak.

    Holds for a decoder that interpolates chroma linearly, at the place the frames name; for 4:2:0 also for
    one that takes chroma for left-sited, as many do whatever the file says. Other interpolations can still
    overshoot a little, as they do with any 4:2:0 picture.
    """
    peak = pq_scalar(peak_nits)
    if clip.format.color_family != vs.YUV:
        return clip.std.Expr(f"x {_code(clip.format, peak)} min")
    if clip.format.sample_type == vs.INTEGER:
        return vs.core.dslnet.Peak(clip, peak=peak, kr=_KR, kb=_KB)
    return graph_within_peak(clip, peak)


def graph_within_peak(clip: vs.VideoNode, peak: float) -> vs.VideoNode:
    """The same of any YUV clip, with the peak as PQ signal, as a graph: for floats, which ``dslnet.Peak`` refuses."""
    luma, blue, red = (read_together(plane) for plane in read_together(clip).std.SplitPlanes())
    if clip.format.subsampling_w or clip.format.subsampling_h:
        blue, red = _possible_chroma(blue, red, peak)
    chroma = read_together(vs.core.std.ShufflePlanes([luma, blue, red], [0, 0, 0], vs.YUV))
    for each_blue, each_red in _upsampled_chroma(chroma):
        highest_luma = _code(clip.format, peak, _above_luma("y", "z"))
        luma = vs.core.std.Expr([luma, each_blue, each_red], f"x {highest_luma} min", luma.format.id)
    return vs.core.std.ShufflePlanes([luma, blue, red], [0, 0, 0], vs.YUV)


def _above_luma(blue: str, red: str) -> str:
    """Expr for how much the largest of R', G', B' is over Y', out of Cb and Cr of -0.5..0.5."""
    return f"{red} {_RED_OF_CR} * {blue} {_BLUE_OF_CB} * max {red} {_GREEN_OF_CR} * {blue} {_GREEN_OF_CB} * + max"


def _possible_chroma(blue: vs.VideoNode, red: vs.VideoNode, peak: float) -> tuple[vs.VideoNode, vs.VideoNode]:
    """Cb and Cr that the subsampling's overshoot made too strong for any luma, weakened until black can carry them."""
    grey, span = 0, 1
    if blue.format.sample_type == vs.INTEGER:
        bits = blue.format.bits_per_sample
        grey, span = 128 << (bits - 8), 224 << (bits - 8)
    above_luma = _above_luma(f"x {grey} - {span} /", f"y {grey} - {span} /")
    weakened = f"z {grey} - {peak} {above_luma} {peak} max / * {grey} +"
    weaker = [vs.core.std.Expr([blue, red, each], weakened) for each in (blue, red)]
    return read_together(weaker[0]), read_together(weaker[1])


def _upsampled_chroma(clip: vs.VideoNode) -> list[tuple[vs.VideoNode, vs.VideoNode]]:
    """Cb and Cr, -0.5..0.5, of every pixel, for each place where a decoder may think that chroma sits."""
    subsampling = (clip.format.subsampling_w, clip.format.subsampling_h)
    places = [ChromaLocation.TOP_LEFT, ChromaLocation.LEFT] if subsampling == (1, 1) else [ChromaLocation.LEFT]
    full = (
        read_together(clip.std.SetFrameProps(_ChromaLocation=int(place)).resize.Bilinear(format=vs.YUV444PS))
        for place in places
    )
    return [(pixels.std.ShufflePlanes(1, vs.GRAY), pixels.std.ShufflePlanes(2, vs.GRAY)) for pixels in full]


def _code(video_format: vs.VideoFormat, peak: float, above_luma: str = "0") -> str:
    """Expr for the largest code that keeps within the PQ signal ``peak``, a channel being ``above_luma`` over it."""
    if video_format.sample_type == vs.FLOAT:
        return f"{peak} {above_luma} -"
    bits = video_format.bits_per_sample
    is_rgb = video_format.color_family == vs.RGB
    black, span = (0, (1 << bits) - 1) if is_rgb else (16 << (bits - 8), 219 << (bits - 8))
    # Expr rounds to the nearest code; half a code less rounds down.
    return f"{peak} {above_luma} - {span} * {black - 0.5} +"

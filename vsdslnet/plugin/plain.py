"""``strength=0``: plain colour conversion, without a network and without torch."""

from __future__ import annotations

import vapoursynth as vs

from vsdslnet.color.h273 import Primaries, Transfer
from vsdslnet.color.references import GRAPHICS_WHITE_NITS, SDR_GAMMA, rgb_to_rgb_matrix
from vsdslnet.plugin.sdr_rgb import to_sdr_rgb

__all__ = ["plain_hdr"]


def plain_hdr(tagged: vs.VideoNode, *, white_nits: float = GRAPHICS_WHITE_NITS) -> vs.VideoNode:
    """A clip with complete colour tags -> R'G'B', PQ BT.2020, SDR white at ``white_nits``, each frame with its light.

    At 203 cd/m² the same as :func:`~vsdslnet.color.sdr_to_hdr.plain_pq`.
    """
    # A step of 16 bits near black is two of PQ: what has more than 10 bits is not rounded on the way.
    exact = tagged.format.sample_type == vs.FLOAT or tagged.format.bits_per_sample > 10
    matrix = rgb_to_rgb_matrix(Primaries.BT709, Primaries.BT2020)
    hdr = vs.core.dslnet.Plain(
        to_sdr_rgb(tagged, format=vs.RGBS if exact else vs.RGB48),
        gamma=SDR_GAMMA,
        white_nits=white_nits,
        matrix=matrix.ravel().tolist(),
    )
    return hdr.std.SetFrameProps(_Transfer=Transfer.PQ, _Primaries=Primaries.BT2020)

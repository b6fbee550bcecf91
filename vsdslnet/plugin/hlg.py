"""PQ to HLG: the light that a display of the peak shows, as the scene light that HLG has for such a display."""

from __future__ import annotations

import vapoursynth as vs

from vsdslnet.color.h273 import BT2020_LUMA, Transfer
from vsdslnet.color.hlg import HLG_A, HLG_B, HLG_C, system_gamma
from vsdslnet.color.pq import C1, C2, C3, M1, M2, PQ_MAX_NITS

__all__ = ["pq_to_hlg"]


def pq_to_hlg(clip: vs.VideoNode, peak_nits: float) -> vs.VideoNode:
    """R'G'B' of any depth, PQ -> RGBS, HLG (BT.2020), for a display of ``peak_nits`` and black 0: BT.2100-2 table 5.

    White of the peak's light is 1. A saturated colour of that light is more (blue 1.086 at 1000 nits): the
    inverse OOTF divides by luminance, of which it has little. Limited range has room for 1.09; full range clips.
    """
    # std.Expr was measured within 0.25 of a 16-bit code of colour-science, powers and logarithms together.
    light = clip.resize.Point(format=vs.RGBS).std.Expr(
        f"x 0 max 1 min {1 / M2!r} pow dup {C1!r} - 0 max swap {C3!r} * {C2!r} swap - / {1 / M1!r} pow "
        f"{PQ_MAX_NITS / peak_nits!r} *"
    )
    channels = light.std.SplitPlanes()
    red, green, blue = BT2020_LUMA
    luminance = f"x {red!r} * y {green!r} * + z {blue!r} * + 1e-12 max"
    gamma = system_gamma(peak_nits)
    planes = []
    for channel in "xyz":
        scene = f"{channel} {luminance} {(1 - gamma) / gamma!r} pow *"  # inverse OOTF
        log = f"{scene} 12 * {HLG_B!r} - 1e-6 max log {HLG_A!r} * {HLG_C!r} +"
        planes.append(vs.core.std.Expr(channels, f"{scene} {1 / 12!r} <= {scene} 3 * sqrt {log} ?"))
    hlg = vs.core.std.ShufflePlanes(planes, [0, 0, 0], vs.RGB)
    return hlg.std.CopyFrameProps(clip).std.SetFrameProps(_Transfer=int(Transfer.HLG))

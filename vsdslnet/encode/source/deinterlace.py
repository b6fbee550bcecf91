"""Fields into whole pictures with bwdif, which VapourSynth people take where no script is written for it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import vapoursynth as vs

from vsdslnet.errors import MissingPackageError
from vsdslnet.options import Deinterlace, FieldOrder
from vsdslnet.plugin.hdr_signs import first_integer

__all__ = ["check_deinterlacer", "deinterlaced", "deinterlacer", "field_times"]

_BOTTOM_FIRST, _TOP_FIRST = 1, 2  # _FieldBased
# bwdif's modes for frames with the top field first; a frame's own mark goes before them.
_MODES = {"frame": 1, "field": 3}


def check_deinterlacer(asked: Deinterlace | None) -> None:
    """MissingPackageError if bwdif is asked for and not installed."""
    if asked is not None and not hasattr(vs.core, "bwdif"):
        raise MissingPackageError("--deinterlace", "vapoursynth-bwdif", "pip install 'vsdslnet[deinterlace]'")


def deinterlacer(asked: Deinterlace | None) -> str | None:
    """Name and version of the program that deinterlaces."""
    check_deinterlacer(asked)
    if asked is None:
        return None
    version = vs.core.bwdif.version
    return f"bwdif {version.major}.{version.minor}"


def deinterlaced(clip: vs.VideoNode, asked: Deinterlace, order: FieldOrder) -> vs.VideoNode:
    """Whole pictures: one of each frame, or one of each field, twice as many. Progressive frames stay (twice)."""
    if order != "auto":
        marked = clip.std.SetFieldBased(_TOP_FIRST if order == "tff" else _BOTTOM_FIRST)
        return marked.bwdif.Bwdif(_MODES[asked])
    whole = clip.bwdif.Bwdif(_MODES[asked])
    as_it_is = clip if asked == "frame" else vs.core.std.Interleave([clip, clip])

    def chosen(n: int, f: vs.VideoFrame) -> vs.VideoNode:
        return whole if first_integer(f.props, "_FieldBased") else as_it_is

    return whole.std.FrameEval(chosen, prop_src=as_it_is, clip_src=[whole, as_it_is])


def field_times(timestamps: Sequence[int], time_base: Fraction, one_frame: Fraction) -> tuple[list[int], Fraction]:
    """Timestamps of fields, half-way between those of their frames, in units half as long.

    ``one_frame`` is how long the last frame stays, in units of ``time_base``.
    """
    ends = [*timestamps[1:], timestamps[-1] + max(1, round(one_frame))]
    times = [at for begin, end in zip(timestamps, ends, strict=True) for at in (2 * begin, begin + end)]
    return times, time_base / 2

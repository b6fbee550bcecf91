"""``vsdslnet bench``: the speed of the conversion alone."""

from __future__ import annotations

import time

import vapoursynth as vs

from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import convert
from vsdslnet.errors import ArgumentError, BackendError, one_line
from vsdslnet.inference.backends import automatic_choice
from vsdslnet.options import BackendOptions

__all__ = ["conversion_speed", "machine_line"]


def machine_line(backend: BackendOptions) -> str:
    """What ``precision="auto"`` takes on this machine, and why; WeightsError or BackendError as an encode's."""
    return automatic_choice(backend)


def conversion_speed(*, width: int, height: int, frames: int, backend: BackendOptions) -> float:
    """Frames a second of ``core.dslnet.Convert`` on a grey YUV420P8 clip; the first frame is not timed.

    ArgumentError for a number out of range; BackendError if the model can't run on the device.
    """
    if not 1 <= frames <= 10_000:
        raise ArgumentError("frames", frames, "1 to 10000")
    if not (16 <= width <= 16_384 and 16 <= height <= 16_384) or width % 2 or height % 2:
        raise ArgumentError("width, height", (width, height), "even numbers from 16 to 16384")
    clip = vs.core.std.BlankClip(
        format=vs.YUV420P8, width=width, height=height, length=frames + 1, color=[120, 110, 140]
    ).std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1)
    hdr = convert(clip, EncodeSettings(**vars(backend), scene_cuts="none"))
    try:
        hdr.get_frame(0).close()
        started = time.perf_counter()
        for frame in hdr[1:].frames(close=True):
            frame.close()
    except vs.Error as error:
        raise BackendError(one_line(error)) from None
    return frames / (time.perf_counter() - started)

"""Overhead of core.dslnet.Window against std.ModifyFrame: the same selector and frames, in one run, in turns."""

from __future__ import annotations

import statistics
import time
from typing import Any

import vapoursynth as vs

FRAMES = 2000
ROUNDS = 7
RADIUS_FRAMES = 2


def seconds(clip: vs.VideoNode) -> float:
    began = time.perf_counter()
    for frame in clip.frames(close=True):
        frame.close()
    return time.perf_counter() - began


def middle(n: int, f: Any, source: Any = None) -> vs.VideoFrame:
    return f[RADIUS_FRAMES]


def measure_ratio() -> tuple[float, float, float]:
    """Seconds a frame through ModifyFrame and through Window, and the median ratio of the two, each given
    2 * RADIUS_FRAMES + 1 frames of a clip that costs nothing to make."""
    core = vs.core
    blank = core.std.BlankClip(format=vs.RGBS, width=64, height=64, length=FRAMES, keep=True)
    last = FRAMES - 1
    shifted = [
        blank.std.Trim(k) + blank[last] * k if k > 0 else blank[0] * -k + blank[: FRAMES + k] if k < 0 else blank
        for k in range(-RADIUS_FRAMES, RADIUS_FRAMES + 1)
    ]
    modify, window = [], []
    for _ in range(ROUNDS):
        modify.append(seconds(core.std.ModifyFrame(blank, shifted, middle)))
        window.append(seconds(core.dslnet.Window(blank, middle, RADIUS_FRAMES)))
    ratio = statistics.median(w / m for w, m in zip(window, modify, strict=True))
    return statistics.median(modify) / FRAMES, statistics.median(window) / FRAMES, ratio


def main() -> None:
    """Measure and print both, and their ratio."""
    modify_seconds, window_seconds, ratio = measure_ratio()
    print(f"std.ModifyFrame    {modify_seconds * 1e6:7.1f} us a frame")
    print(f"core.dslnet.Window {window_seconds * 1e6:7.1f} us a frame")
    print(f"ratio              {ratio:7.2f}")


if __name__ == "__main__":
    main()

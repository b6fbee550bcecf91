"""Clips that are read once leave next to nothing in the core's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import vapoursynth as vs

from vsdslnet.encode.chunk.light import with_light, with_shot_light
from vsdslnet.plugin.caches import frames_in_order
from vsdslnet.plugin.peak import graph_within_peak, within_peak

WIDTH, HEIGHT, FRAMES = 640, 368, 60


@pytest.mark.parametrize(
    ("graph", "most_frames"),
    [
        (lambda pq: pq.std.Invert(), 4),
        (lambda pq: within_peak(pq, 1000), 4),
        # R'G'B' in 16 bits is four such frames, and their maximum one and a third.
        (lambda pq: with_light(within_peak(pq, 1000)), 12),
        (lambda pq: with_shot_light(within_peak(pq, 1000)), 12),
        (lambda pq: graph_within_peak(pq, 0.75), 30),
    ],
)
def test_reading_in_order_keeps_no_more_than_what_is_in_flight(
    core: Any, threads: Callable[[int], None], graph: Callable[[vs.VideoNode], vs.VideoNode], most_frames: int
) -> None:
    threads(1)
    pq = core.std.BlankClip(format=vs.YUV420P10, width=WIDTH, height=HEIGHT, length=FRAMES, color=[500, 512, 512])
    clip = graph(pq.std.SetFrameProps(_Matrix=9, _Primaries=9, _Transfer=16, _Range=0))
    before = core.used_cache_size
    held = [core.used_cache_size - before for _ in frames_in_order(clip, ahead=1)]
    assert len(held) == FRAMES
    assert max(held) <= most_frames * WIDTH * HEIGHT * 3

#!/usr/bin/env bash
# A clip that Python reads once, in order, closing each frame before it takes the next, still holds its last twenty frames or more: the node at
# the end of a graph, which nothing else reads, has a cache of its own by default, and closing a frame gives up one reference of
# two. At 2160p these are 0.5 GB of YUV420P10, 1 GB of RGB48 and 2 GB of RGBS, for each clip that is read, in every process. The
# same filter keeps none of its frames once another filter reads it. clip.std.SetVideoCache(mode=0) before the loop cures it (vspipe
# does so by itself), or a small core.max_cache_size.
#
# Seen with VapourSynth 81 on Python 3.12. Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet VapourSynth==81
"$work/venv/bin/python" - <<'PYTHON'
import vapoursynth as vs

core = vs.core
core.num_threads = 1
source = core.std.BlankClip(format=vs.YUV420P8, width=640, height=360, length=120)  # makes each frame anew
FRAME_BYTES = 640 * 360 * 3 // 2


def held(clip, loop):
    """Frames in memory when the last one has been closed."""
    loop(clip)
    return core.used_cache_size / FRAME_BYTES


def in_order(clip):
    for frame in clip.frames(prefetch=1, backlog=1, close=True):
        pass


def one_by_one(clip):
    for number in range(clip.num_frames):
        clip.get_frame(number).close()


def inverted():
    return source.std.Invert()


def uncached():
    clip = inverted()
    clip.std.SetVideoCache(mode=0)
    return clip


results = {}
for name, make, loop in (
    ("frames(close=True)", inverted, in_order),
    ("get_frame(n).close()", inverted, one_by_one),
    ("frames(close=True), SetVideoCache(mode=0)", uncached, in_order),
):
    clip = make()
    results[name] = held(clip, loop)
    print(f"{name:45} {results[name]:.0f} frames held after 120")
    clip = None
assert 19 <= results["frames(close=True)"] <= 22
assert results["get_frame(n).close()"] >= 19
assert results["frames(close=True), SetVideoCache(mode=0)"] <= 2
PYTHON

"""Convert is a pure function of the clip and the frame number: order, threads, streams, scenes."""

from __future__ import annotations

import ctypes
import random
import sys
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from plugin_tests.plugin.clips import all_planes, planes, same, textured


@pytest.fixture(scope="module")
def source(core: Any) -> Any:
    return textured(core, vs.YUV420P8, length=24)


@pytest.fixture(scope="module")
def linear(core: Any, small_model: str, source: Any) -> list[list[np.ndarray[Any, Any]]]:
    return all_planes(core.dslnet.Convert(source, model=small_model))


def requested(clip: Any, order: list[int]) -> list[list[np.ndarray[Any, Any]]]:
    futures = [clip.get_frame_async(n) for n in order]
    return [planes(future.result()) for future in futures]


@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize("num_streams", [1, 2, 3])
def test_random_order_threads_and_streams_do_not_change_a_bit(
    core: Any, threads: Any, small_model: str, source: Any, linear: Any, count: int, num_streams: int
) -> None:
    threads(count)
    clip = core.dslnet.Convert(source, model=small_model, num_streams=num_streams)
    order = [random.Random(count * 10 + num_streams).randrange(24) for _ in range(100)]
    assert all(same(frame, linear[n]) for n, frame in zip(order, requested(clip, order), strict=True))


@pytest.mark.slow
def test_1000_requests_in_random_order(core: Any, small_model: str, source: Any, linear: Any) -> None:
    order = [random.Random(1).randrange(24) for _ in range(1000)]
    clip = core.dslnet.Convert(source, model=small_model)
    assert all(same(frame, linear[n]) for n, frame in zip(order, requested(clip, order), strict=True))


def test_more_streams_than_frames(core: Any, small_model: str, source: Any, linear: Any) -> None:
    clip = core.dslnet.Convert(source[:1], model=small_model, num_streams=8)
    assert clip.num_frames == 1
    assert clip.get_frame(0).width == source.width


def test_streams_keep_length_rate_and_durations(core: Any, small_model: str, source: Any) -> None:
    clip = core.dslnet.Convert(source[:23], model=small_model, num_streams=4)
    assert (clip.num_frames, clip.fps) == (23, source.fps)
    assert clip.get_frame(22).props["_DurationDen"] == source.get_frame(22).props["_DurationDen"]


def scenes(core: Any) -> tuple[Any, Any]:
    one = textured(core, vs.YUV420P8, width=64, height=64, length=4)
    # So alike that only the mark tells them apart (see vsdslnet.inference.foreign_frames).
    other = textured(core, vs.YUV420P8, width=64, height=64, length=5).std.Expr(["x 12 +", ""])
    return one, other


def cut_tagged(core: Any, one: Any, other: Any) -> Any:
    return one + (other[:1].std.SetFrameProps(_SceneChangePrev=1) + other[1:])


def test_windows_never_mix_scenes(core: Any, small_model: str) -> None:
    one, other = scenes(core)
    joined = all_planes(core.dslnet.Convert(cut_tagged(core, one, other), model=small_model))
    apart = all_planes(core.dslnet.Convert(one, model=small_model)) + all_planes(
        core.dslnet.Convert(other, model=small_model)
    )
    assert all(same(a, b) for a, b in zip(joined, apart, strict=True))


def test_cuts_are_not_seen_when_told_so(core: Any, small_model: str) -> None:
    one, other = scenes(core)
    tagged = cut_tagged(core, one, other)
    ignored = all_planes(core.dslnet.Convert(tagged, model=small_model, scene_cuts="none"))
    untagged = all_planes(core.dslnet.Convert(one + other, model=small_model))
    heeded = all_planes(core.dslnet.Convert(tagged, model=small_model))
    assert all(same(a, b) for a, b in zip(ignored, untagged, strict=True))
    assert [n for n in range(9) if not same(ignored[n], heeded[n])] == [2, 3, 4, 5]


def test_a_cut_that_nobody_marked_is_not_mixed_either(core: Any, small_model: str) -> None:
    one = textured(core, vs.YUV420P8, width=64, height=64, length=4)
    other = core.std.Invert(one)
    joined = all_planes(core.dslnet.Convert(one + other, model=small_model))
    apart = [planes for part in (one, other) for planes in all_planes(core.dslnet.Convert(part, model=small_model))]
    assert all(same(a, b) for a, b in zip(joined, apart, strict=True))


@pytest.mark.parametrize("video_format", [vs.YUV420P8, vs.YUV444P16, vs.GRAY8, vs.RGB24, vs.RGBS, vs.YUV420PH])
def test_cuts_are_detected_when_asked(core: Any, small_model: str, video_format: int) -> None:
    if not hasattr(core, "scd"):
        pytest.skip("the scenechange plugin is not installed")
    dark = core.std.BlankClip(format=video_format, width=64, height=64, length=4)
    bright = textured(core, video_format, width=64, height=64, length=1).std.Loop(4)
    clip = core.dslnet.Convert(dark + bright, model=small_model, scene_cuts="detect")
    marks = [frame.props["_SceneChangePrev"] for frame in clip.frames()]
    assert marks[4] == 1
    assert sum(marks[1:]) == 1


def test_equal_settings_share_one_backend(core: Any, small_model: str, source: Any) -> None:
    from vsdslnet.inference import converter

    clips = [core.dslnet.Convert(source, model=small_model, peak=peak, precision="fp32") for peak in (600, 1000)]
    before = len(converter._backends)
    for clip in clips:
        clip.get_frame(0)
    assert len(converter._backends) - before <= 1


MEMORY = """
import ctypes
core.max_cache_size = 64
class Mallinfo2(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]
mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2
def resident_kib():
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "VmSwap"))
def used_kib():
    heaps = mallinfo2()
    return (heaps.uordblks + heaps.hblkhd) // 1024
clip = core.std.BlankClip(format=vs.YUV420P8, width=WIDTH, height=HEIGHT, length=2000)
out = core.dslnet.Convert(clip, model=MODEL, strength=STRENGTH)
used, resident = [], []
for n in range(FRAMES):
    out.get_frame(n).close()
    if n % EVERY == EVERY - 1:
        used.append(used_kib())
        resident.append(resident_kib())
for samples in (used, resident):
    print(sum(samples[-3:]) // 3 - sum(samples[1:4]) // 3)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="asks glibc 2.33 or newer what is in use",
)
@pytest.mark.parametrize(("width", "height", "frames", "strength"), [(160, 90, 400, 0), (48, 32, 200, 1)])
def test_memory_is_flat(run_script: Any, small_model: str, width: int, height: int, frames: int, strength: int) -> None:
    """What is in use stays the same: that is exact, and 8 bits of 48x32 a frame would show. What the process holds may
    spread first, and then stays.
    """
    values = f"MODEL, WIDTH, HEIGHT, FRAMES, STRENGTH = {small_model!r}, {width}, {height}, {frames}, {strength}\n"
    values += f"EVERY = {frames // 20}"
    result = run_script(values + MEMORY)
    assert result.returncode == 0, result.stderr
    used_kib, resident_kib = map(int, result.stdout.split())
    assert used_kib < 192, "KiB in use grew after the first fifth of the frames"
    assert resident_kib < 32_768, "KiB held grew after the first fifth of the frames"

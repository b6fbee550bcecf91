"""core.dslnet.Window: which frames a window holds, and what happens when its selector fails."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs


def numbered(core: Any, length: int, cuts_before: tuple[int, ...] = (), next_before: tuple[int, ...] = ()) -> Any:
    """A GRAYS clip whose frame n is n everywhere, with cuts said by the frame after or before them."""
    blank = core.std.BlankClip(format=vs.GRAYS, width=8, height=4, length=length, keep=True)

    def number(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        np.asarray(out[0])[:] = n
        out.props["index"] = n
        if n in cuts_before:
            out.props["_SceneChangePrev"] = 1
        if n + 1 in next_before:
            out.props["_SceneChangeNext"] = 1
        return out

    return core.std.ModifyFrame(blank, blank, number)


def windows(core: Any, clip: Any, radius: int, **arguments: Any) -> list[list[int]]:
    seen: dict[int, list[int]] = {}

    def selector(n: int, f: Any, source: Any) -> vs.VideoFrame:
        frames = f if isinstance(f, list) else [f]
        sources = source if isinstance(source, list) else [source]
        seen[n] = [frame.props["index"] for frame in frames]
        assert seen[n] == sources
        return frames[len(frames) // 2]

    clip = core.dslnet.Window(clip, selector, radius, **arguments)
    for n, frame in enumerate(clip.frames()):
        assert frame.props["index"] == n
    return [seen[n] for n in range(clip.num_frames)]


AROUND_A_CUT = [
    [0, 0, 0, 1, 2],
    [0, 0, 1, 2, 3],
    [0, 1, 2, 3, 3],
    [1, 2, 3, 3, 3],
    [4, 4, 4, 5, 6],
    [4, 4, 5, 6, 6],
    [4, 5, 6, 6, 6],
]


def test_ends_and_cuts_repeat_the_nearest_frame_of_the_scene(core: Any) -> None:
    assert windows(core, numbered(core, 7, cuts_before=(4,)), 2) == AROUND_A_CUT
    assert windows(core, numbered(core, 7, next_before=(4,)), 2) == AROUND_A_CUT
    assert windows(core, numbered(core, 7, cuts_before=(4,), next_before=(4,)), 2) == AROUND_A_CUT


def test_scenes_of_one_frame_stand_alone(core: Any) -> None:
    found = windows(core, numbered(core, 5, cuts_before=(2, 3)), 2)
    assert found == [[0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [2, 2, 2, 2, 2], [3, 3, 3, 4, 4], [3, 3, 4, 4, 4]]


def test_cuts_are_ignored_when_asked(core: Any) -> None:
    assert windows(core, numbered(core, 4, cuts_before=(2,)), 1, cuts=False) == [
        [0, 0, 1],
        [0, 1, 2],
        [1, 2, 3],
        [2, 3, 3],
    ]


def test_clips_shorter_than_the_window(core: Any) -> None:
    assert windows(core, numbered(core, 1), 2) == [[0] * 5]
    assert windows(core, numbered(core, 2), 3) == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1]]


def test_radius_zero_gives_the_frame_alone(core: Any) -> None:
    assert windows(core, numbered(core, 3, cuts_before=(1,)), 0) == [[0], [1], [2]]


def weighted(n: int, f: list[vs.VideoFrame], source: list[int]) -> vs.VideoFrame:
    """A pure function of the window that tells its frames and their order apart."""
    out = f[2].copy()
    np.asarray(out[0])[:] = sum(np.asarray(frame[0]) * 7.0**k for k, frame in enumerate(f))
    return out


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_random_order_and_threads_do_not_change_a_bit(core: Any, threads: Any, count: int) -> None:
    source = numbered(core, 200, cuts_before=(3, 50, 51, 120))
    linear = [np.array(f[0]) for f in core.dslnet.Window(source, weighted, 2).frames(prefetch=1)]
    threads(count)
    clip = core.dslnet.Window(source, weighted, 2)
    order = [random.Random(count).randrange(200) for _ in range(1000)]
    pending = [(n, clip.get_frame_async(n)) for n in order]
    for n, future in pending:
        frame = future.result()
        assert np.array_equal(np.asarray(frame[0]), linear[n])
        frame.close()


def test_an_exception_is_a_one_line_error_and_the_clip_goes_on(core: Any) -> None:
    def fails_on_three(n: int, f: list[vs.VideoFrame], source: list[int]) -> vs.VideoFrame:
        if n == 3:
            raise ValueError("no such luck")
        return f[1]

    clip = core.dslnet.Window(numbered(core, 6), fails_on_three, 1)
    with pytest.raises(vs.Error, match=r"^dslnet: frame 3: ValueError: no such luck$"):
        clip.get_frame(3)
    assert clip.get_frame(4).props["index"] == 4


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"error": "out of\npaper"}, "paper"),
        ({"error": ""}, ""),
        (None, "the selector returned no frame"),
        (3, "the selector returned no frame"),
    ],
)
def test_what_is_not_a_frame_is_an_error(core: Any, returned: object, message: str) -> None:
    clip = core.dslnet.Window(numbered(core, 2), lambda n, f, source: returned, 1)
    with pytest.raises(vs.Error, match=rf"^dslnet: frame 1: {message}$"):
        clip.get_frame(1)


@pytest.mark.parametrize("other", [{"width": 16}, {"height": 8}, {"format": vs.GRAY16}, {"format": vs.RGBS}])
def test_a_frame_that_the_clip_did_not_promise_is_refused(core: Any, other: dict[str, Any]) -> None:
    odd = core.std.BlankClip(**({"format": vs.GRAYS, "width": 8, "height": 4} | other)).get_frame(0)
    clip = core.dslnet.Window(numbered(core, 2), lambda n, f, source: odd, 1)
    with pytest.raises(vs.Error, match="differs from the clip in format or size"):
        clip.get_frame(0)


def test_a_failing_source_is_the_sources_error(core: Any) -> None:
    source = numbered(core, 9)

    def fails(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        if n == 4:
            raise RuntimeError("bad sector")
        return f

    clip = core.dslnet.Window(core.std.ModifyFrame(source, source, fails), weighted, 2)
    clip.get_frame(1)
    with pytest.raises(vs.Error, match="bad sector"):
        clip.get_frame(3)


@pytest.mark.parametrize("radius", [-1, 17, 2**40, -(2**40)])
def test_an_impossible_radius_is_refused(core: Any, radius: int) -> None:
    with pytest.raises(vs.Error, match=r"radius=.* is not allowed: 0 to 16 frames"):
        core.dslnet.Window(numbered(core, 2), weighted, radius)


@pytest.mark.parametrize("variable", ["varformat", "varsize"])
def test_a_variable_clip_is_refused(core: Any, variable: str) -> None:
    with pytest.raises(vs.Error, match="constant format and size"):
        core.dslnet.Window(core.std.BlankClip(**{variable: True}), weighted, 2)


def test_bind_is_refused_outside_convert(core: Any) -> None:
    with pytest.raises(vs.Error, match=r"internal.*core\.dslnet\.Convert"):
        core.dslnet.Bind(lambda: None)


MEMORY = """
import gc
core.max_cache_size = 64
clip = core.std.BlankClip(format=vs.RGBS, width=128, height=128, length=2000)
def selector(n, f, source):
    if n % 50 == 7:
        raise ValueError("now and then")
    if n % 50 == 8:
        return None
    return f[2].copy()
out = core.dslnet.Window(clip, selector, 2)
def resident_kib():
    # Memory of our own, wherever the system keeps it (a busy machine moves library pages in and out).
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "VmSwap"))
for n in range(2000):
    try:
        out.get_frame(n).close()
    except vs.Error:
        pass
    if n == 400:
        gc.collect(); early = resident_kib()
gc.collect()
print(resident_kib() - early)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_is_flat_over_2000_frames_with_errors_among_them(run_script: Any) -> None:
    """Every frame gets pages of its own, so that the allocator's habit of keeping what was freed is not seen."""
    result = run_script(MEMORY, MALLOC_MMAP_THRESHOLD_="65536")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 1024, "KiB grown between frame 400 and 2000 (a frame is 192 KiB)"


REFERENCES = """
import gc, time
def selector(n, f, source):
    if n % 3 == 1:
        raise ValueError("no")
    return f[2].copy() if n % 3 else None
def session():
    clip = core.std.BlankClip(format=vs.RGBS, width=64, height=64, length=30)
    out = core.dslnet.Window(clip, selector, 2)
    for n in range(30):
        try: out.get_frame(n).close()
        except vs.Error: pass
session()
gc.collect()
core.clear_cache()
for _ in range(100):  # the thread that made the last frame may still be letting go of it
    if core.used_cache_size == 0: break
    time.sleep(0.05)
print(core.used_cache_size)
"""


def test_no_frame_is_held_once_the_clip_is_gone(run_script: Any) -> None:
    result = run_script(REFERENCES)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "0"
    assert "leak" not in result.stderr.lower()

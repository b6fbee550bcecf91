"""Keys of LUTs: in the frame's own scene, shares that move in straight lines."""

from __future__ import annotations

from typing import Any

import pytest
import vapoursynth as vs
from hypothesis import given
from hypothesis import strategies as st

from vsdslnet.plugin.lut_keys import KEY_INTERVAL_FRAMES, block_cuts, cuts_in, keys_in_clip

K = KEY_INTERVAL_FRAMES


def cuts_around(n: int, cuts: set[int], length: int) -> list[int]:
    start = n - n % K
    return sorted(cut for cut in cuts | {length} if start < cut <= start + K)


def shares(n: int, cuts: set[int], length: int) -> dict[int, float]:
    return {key.frame: key.weight for key in keys_in_clip(n, sorted(cuts), length)}


def test_a_scene_without_cuts_runs_from_key_to_key() -> None:
    assert shares(0, set(), 500) == {0: 1}
    assert shares(K, set(), 500) == {K: 1}
    assert shares(K + K // 4, set(), 500) == {K: 0.75, 2 * K: 0.25}


def test_a_scene_keeps_to_its_own_keys() -> None:
    cuts = {10, 20, K, K + 5}
    assert shares(9, cuts, 500) == {0: 1}
    assert shares(10, cuts, 500) == shares(19, cuts, 500) == {14: 1}, "between keys: its middle"
    assert shares(20, cuts, 500) == shares(K - 1, cuts, 500) == {(20 + K - 1) // 2: 1}
    assert shares(K + 4, cuts, 500) == {K: 1}
    assert shares(K + 5, cuts, 500) == {2 * K: 1}


def test_the_last_frames_of_a_clip_keep_the_last_key() -> None:
    assert shares(2 * K + 7, set(), 2 * K + 8) == {2 * K: 1}


@given(st.sets(st.integers(1, 5 * K), max_size=12), st.integers(1, 5 * K))
def test_no_key_lies_in_another_scene_and_nothing_jumps_inside_one(cuts: set[int], length: int) -> None:
    cuts = {cut for cut in cuts if cut < length}
    scene = [sum(cut <= n for cut in cuts) for n in range(length)]
    before: dict[int, float] = {}
    for n in range(length):
        now = shares(n, cuts, length)
        assert sum(now.values()) == pytest.approx(1)
        assert all(scene[frame] == scene[n] for frame in now)
        if n and scene[n] == scene[n - 1]:
            assert sum(abs(now.get(k, 0) - before.get(k, 0)) for k in now | before) <= 2 / K + 1e-9
        before = now


@pytest.mark.parametrize("length", [1, 2, K - 1, K, K + 1, 2 * K + 3])
@pytest.mark.parametrize("prop", ["_SceneChangePrev", "_SceneChangeNext"])
def test_cuts_come_from_the_frames_properties(core: Any, length: int, prop: str) -> None:
    cuts = {cut for cut in (1, 7, K, K + 2) if cut < length}
    marked = {cut if prop.endswith("Prev") else cut - 1 for cut in cuts}
    blank = core.std.BlankClip(format=vs.GRAY8, width=16, height=8, length=length)

    def mark(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        out.props[prop] = [int(n in marked), int(n not in marked)] if n % 2 else int(n in marked)  # the first counts
        return out

    clip = core.std.ModifyFrame(blank, blank, mark)
    found = block_cuts(clip, believe=True)
    assert len(found) == length
    for n in range(length):
        assert cuts_in(found.get_frame(n)) == cuts_around(n, cuts, length)
    ignored = block_cuts(clip, believe=False)
    assert cuts_in(ignored.get_frame(length - 1)) == cuts_around(length - 1, set(), length)

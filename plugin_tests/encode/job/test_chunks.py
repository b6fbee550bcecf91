"""Plans: chunks cover the programme, keep their bounds, and start at cuts."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vsdslnet.encode.job.chunks import MIN_CHUNK_FRAMES, cut_into_chunks


@given(
    frames=st.integers(1, 3000),
    cuts=st.sets(st.integers(-5, 3100), max_size=60),
    max_frames=st.integers(8, 500),
)
def test_chunks_cover_all_frames_in_order_within_bounds(frames: int, cuts: set[int], max_frames: int) -> None:
    chunks = cut_into_chunks(frames=frames, cuts=cuts, max_frames=max_frames)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert chunks[0].first == 0
    assert chunks[-1].end == frames
    assert all(a.end == b.first for a, b in pairwise(chunks))
    assert all(1 <= chunk.frames <= max_frames for chunk in chunks)


def test_cuts_become_edges() -> None:
    chunks = cut_into_chunks(frames=300, cuts=[100, 180], max_frames=200)
    assert [(chunk.first, chunk.end) for chunk in chunks] == [(0, 100), (100, 180), (180, 300)]


def test_cuts_too_near_are_passed_over() -> None:
    chunks = cut_into_chunks(frames=200, cuts=[50, 50 + MIN_CHUNK_FRAMES - 1, 195], max_frames=200)
    assert [(chunk.first, chunk.end) for chunk in chunks] == [(0, 50), (50, 200)]


def test_a_long_shot_is_cut_into_even_parts() -> None:
    chunks = cut_into_chunks(frames=250, cuts=[], max_frames=120)
    assert [chunk.frames for chunk in chunks] == [83, 83, 84]

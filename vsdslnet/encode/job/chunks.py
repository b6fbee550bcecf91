"""How a programme is cut into chunks: at scene cuts, within bounds; a pure function."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec

__all__ = ["Chunk", "cut_into_chunks"]

# A cut nearer than this to the last one is passed over: a chunk costs an IDR frame and its headers.
MIN_CHUNK_FRAMES = 24


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Frames ``first`` to ``end - 1`` of the programme."""

    index: int
    first: int
    end: int

    @property
    def frames(self) -> int:
        """How many."""
        return self.end - self.first


def cut_into_chunks(*, frames: int, cuts: Iterable[int], max_frames: int) -> list[Chunk]:
    """Chunks that cover 0 .. ``frames`` in order without gaps.

    ``cuts`` are the first frames of shots. No chunk is longer than ``max_frames``; a shot longer than that
    is halved, thirded, ... so that its parts are of one size; cuts that would leave a chunk shorter than
    ``MIN_CHUNK_FRAMES`` (or ``max_frames`` if that is less) are passed over.
    """
    shortest = min(MIN_CHUNK_FRAMES, max_frames)
    edges = [0]
    for cut in sorted({cut for cut in cuts if 0 < cut < frames}):
        if cut - edges[-1] >= shortest and frames - cut >= shortest:
            edges.append(cut)
    edges.append(frames)
    spans: list[tuple[int, int]] = []
    for start, end in pairwise(edges):
        parts = -(-(end - start) // max_frames)
        points = [start + (end - start) * part // parts for part in range(parts + 1)]
        spans.extend(pairwise(points))
    return [Chunk(index, first, end) for index, (first, end) in enumerate(spans)]

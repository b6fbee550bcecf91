"""What the core keeps of a graph's frames, where its own choice would only cost memory."""

from __future__ import annotations

from collections.abc import Iterator

import vapoursynth as vs

__all__ = ["frames_in_order", "read_together"]


def frames_in_order(clip: vs.VideoNode, *, ahead: int | None = None) -> Iterator[vs.VideoFrame]:
    """Each frame of a clip from its first to its last, closed when the next one is asked for.

    ``ahead``: frames asked for beforehand, at most. The end of a graph would keep twenty frames that nobody asks for
    again, 0.5 GB of 2160p in 10 bits (findings/vapoursynth-keeps-what-was-read-once.sh). Raises vs.Error as the clip
    does.
    """
    clip.std.SetVideoCache(mode=0)
    yield from clip.frames(prefetch=ahead, backlog=ahead, close=True)


def read_together(clip: vs.VideoNode) -> vs.VideoNode:
    """A clip that several others read. Left alone, the core caches such a one until all of its memory is used;
    its readers here ask for the same frame together, so it need not last longer than what is in flight."""
    clip.std.SetVideoCache(mode=1, fixedsize=1, maxsize=vs.core.num_threads)
    return clip

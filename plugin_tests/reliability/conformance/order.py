"""The output is a pure function of (clip, n, arguments): any order, any number of threads, the same bits."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from typing import Any

import numpy as np
import vapoursynth as vs

from plugin_tests.plugin.clips import textured
from plugin_tests.reliability.figures import Figure, Options, exactly, none_of
from plugin_tests.small_network import save_small_network

__all__ = ["measure"]

THREADS = (1, 2, 4, 16)
_FRAMES = 60
_PENDING = 12


def measure(options: Options) -> list[Figure]:
    """Random seeks against linear order, and one hash whatever the threads and streams."""
    model = str(save_small_network(options.folder / "order.safetensors", tiny=True))
    source = textured(vs.core, vs.YUV420P8, width=16, height=16, length=_FRAMES)
    linear = [digest(frame) for frame in uncached(source, model).frames(prefetch=1, close=True)]
    before = vs.core.num_threads
    try:
        return [
            seeks(uncached(source, model), linear, 300 if options.quick else 10_000),
            threads(source[:8], model, linear, 8 if options.quick else 100),
        ]
    finally:
        vs.core.num_threads = before


def seeks(clip: Any, linear: list[bytes], count: int) -> Figure:
    """``count`` frames in random order, some at the same time, against the same frames in linear order."""
    rng = random.Random(count)
    pending: deque[tuple[int, Any]] = deque()
    failures: list[str] = []
    for asked in range(count + _PENDING):
        if asked < count:
            n = rng.randrange(len(linear))
            pending.append((n, clip.get_frame_async(n)))
        if asked >= _PENDING and pending:
            n, future = pending.popleft()
            if digest(future.result()) != linear[n]:
                failures.append(f"frame {n} differs")
    return none_of("random seeks are bit-identical to linear order", failures, count, "seeks")


def threads(source: Any, model: str, linear: list[bytes], runs: int) -> Figure:
    """A fresh filter a run, with other threads, streams and order each time."""
    expected = hashlib.sha256(b"".join(linear[: len(source) - 2])).hexdigest()
    hashes = {expected}
    for run in range(runs):
        vs.core.num_threads = THREADS[run % len(THREADS)]
        clip = uncached(source, model, num_streams=1 + run % 3)
        order = random.Random(run).sample(range(len(source) - 2), len(source) - 2)
        futures = {n: clip.get_frame_async(n) for n in order}
        frames = [digest(futures[n].result()) for n in range(len(source) - 2)]
        hashes.add(hashlib.sha256(b"".join(frames)).hexdigest())
    words = "/".join(map(str, THREADS))
    return exactly(f"hashes of a clip over {runs} runs at {words} threads", len(hashes), 1, "hash")


def uncached(source: Any, model: str, **arguments: Any) -> Any:
    """Convert, computing every frame anew."""
    clip = vs.core.dslnet.Convert(source, model=model, **arguments)
    clip.std.SetVideoCache(mode=0)
    return clip


def digest(frame: vs.VideoFrame) -> bytes:
    """A hash of a frame's planes; the frame is closed."""
    found = hashlib.sha256()
    for plane in range(frame.format.num_planes):
        found.update(np.ascontiguousarray(np.asarray(frame[plane])).data)
    frame.close()
    return found.digest()

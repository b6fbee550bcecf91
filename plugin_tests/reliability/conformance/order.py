"""The output is a pure function of (clip, n, arguments): any order, any number of threads, the same bits.

Run with a model's name and a number of threads it prints, a line each, how it ran and the hash of what came out.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections import deque
from typing import Any

import numpy as np
import torch
import vapoursynth as vs

from plugin_tests.plugin.clips import textured
from plugin_tests.reliability.children import how_it_ended, run_module
from plugin_tests.reliability.figures import Figure, Options, exactly, none_of
from plugin_tests.small_network import save_small_network

__all__ = ["measure"]

CORE_THREADS = (1, 2, 4, 16)
THREADS = (1, 2, 3, 4, 6, 8, 16)
"""PyTorch's."""
UNDER_WAY = (1, 2, 4)
_FRAMES = 60
_PENDING = 12
_MATRIX_FRAMES = 4
_LOOK = {"strength": 0.9, "saturation": 1.1, "peak": 800}
"""Takes powers: a number behind the last whole vector may have another last bit."""
_SLOWEST_SECONDS = 1200


def measure(options: Options) -> list[Figure]:
    """Random seeks against linear order, and one hash whatever the threads, the streams and the frames under way."""
    model = str(save_small_network(options.folder / "order.safetensors", tiny=True))
    source = textured(vs.core, vs.YUV420P8, width=16, height=16, length=_FRAMES)
    linear = [digest(frame) for frame in uncached(source, model).frames(prefetch=1, close=True)]
    before = vs.core.num_threads
    try:
        return [
            seeks(uncached(source, model), linear, 300 if options.quick else 10_000),
            core_threads(source[:8], model, linear, 8 if options.quick else 100),
            *matrix(options),
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


def core_threads(source: Any, model: str, linear: list[bytes], runs: int) -> Figure:
    """A fresh filter a run, with other threads, streams and order each time."""
    expected = hashlib.sha256(b"".join(linear[: len(source) - 2])).hexdigest()
    hashes = {expected}
    for run in range(runs):
        vs.core.num_threads = CORE_THREADS[run % len(CORE_THREADS)]
        clip = uncached(source, model, num_streams=1 + run % 3)
        order = random.Random(run).sample(range(len(source) - 2), len(source) - 2)
        futures = {n: clip.get_frame_async(n) for n in order}
        frames = [digest(futures[n].result()) for n in range(len(source) - 2)]
        hashes.add(hashlib.sha256(b"".join(frames)).hexdigest())
    words = "/".join(map(str, CORE_THREADS))
    return exactly(f"hashes of a clip over {runs} runs at {words} threads of the core", len(hashes), 1, "hash")


def matrix(options: Options) -> list[Figure]:
    """PyTorch's threads x frames under way, of the network and of its LUT: a process for each number of threads."""
    model = str(save_small_network(options.folder / "matrix.safetensors")) if options.quick else options.model
    threads = (1, 6, 16) if options.quick else THREADS
    hashes: dict[str, set[str]] = {}
    for count in threads:
        done = run_module(__name__, model, count, timeout_seconds=_SLOWEST_SECONDS)
        if done.returncode:
            return [exactly(f"{count} threads are measured", how_it_ended(done), "exit code 0")]
        for line in done.stdout.splitlines():
            what, _, found = line.partition(" ")
            hashes.setdefault(what, set()).add(found)
    words = f"{'/'.join(map(str, threads))} threads of PyTorch x {'/'.join(map(str, UNDER_WAY))} frames under way"
    return [exactly(f"{what}: hashes at {words}", len(found), 1, "hash") for what, found in hashes.items()]


def print_hashes(model: str, threads: int) -> None:
    """Frames in fp32 with the light they carry, of the network and of its LUT, for each number of frames under way."""
    torch.set_num_threads(threads)
    # No whole number of vectors, neither a row nor a frame.
    source = textured(vs.core, vs.YUV420P8, width=162, height=98, length=_MATRIX_FRAMES + 2)
    vs.core.num_threads = max(UNDER_WAY)
    for what, name in (("network", model), ("LUT", f"{model}-lut")):
        for under_way in UNDER_WAY:
            clip = uncached(source, name, num_streams=under_way, format=vs.RGBS, **_LOOK)
            found = hashlib.sha256()
            for first in range(0, _MATRIX_FRAMES, under_way):
                for future in [clip.get_frame_async(first + at) for at in range(under_way)]:
                    frame = future.result()
                    light = [frame.props["DSLNetMaxNits"], frame.props["DSLNetAverageNits"]]
                    found.update(np.array(light).tobytes() + digest(frame))
            print(what, found.hexdigest())


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


if __name__ == "__main__":
    print_hashes(sys.argv[1], int(sys.argv[2]))

"""What ``vsdslnet encode`` costs beside the network: its time a frame against the backend's alone.

    python scripts/benchmark_encode.py film.mkv 480x270

Both compute the same frames with one worker, turn by turn in one run, each in processes of its own. A frame of
the encode is one between the end of the first chunk and the end of the last (decoding, conversion, network, measuring,
encoder, checks, journal): that is what a film's length multiplies. Starting (looking for cuts, loading, the first
chunk) and finishing (the mux) are told apart.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import av
import torch
from av.video.reformatter import Colorspace

from plugin_tests.paths import ROOT
from vsdslnet.encode.job.journal import ChunkResult
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.workers.local import LocalExecutor
from vsdslnet.inference.backends import create_backend
from vsdslnet.options import BackendOptions


class Cost(NamedTuple):
    """In seconds, of a frame or of all."""

    wall: float
    cpu: float


class ChunkTimes(QuietReporter):
    """Remembers when each chunk was finished: one is, beside the next one's frames."""

    def __init__(self) -> None:
        self.finished_at: list[float] = []

    def finished(self, result: ChunkResult) -> None:
        """See Reporter."""
        self.finished_at.append(time.perf_counter())


def main() -> None:
    """Alternate, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("film", type=Path, help="a BT.709 video to take frames from")
    parser.add_argument("size", nargs="?", default="480x270")
    parser.add_argument("--model", default="dslnet")
    parser.add_argument("--preset", default="balanced", choices=("draft", "balanced", "archive"))
    parser.add_argument("--chunks", type=int, default=3, help="the first is not counted")
    parser.add_argument("--chunk-frames", type=int, default=24)
    parser.add_argument("--alone-frames", type=int, default=12, help="that the backend computes alone, in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    if given.alone:
        print(json.dumps(alone(given.film, given.model, given.threads, given.alone_frames)))
        return
    backend: list[Cost] = []
    whole: list[Cost] = []
    others: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        clip, short = Path(name, "clip.mkv"), Path(name, "short.mkv")
        write_clip(given.film, clip, width, height, given.chunks * given.chunk_frames)
        write_clip(given.film, short, width, height, given.chunk_frames)
        arguments = [str(clip), "--alone", "--model", given.model, "--threads", str(given.threads)]
        command = [
            sys.executable,
            "-m",
            "plugin_tests.benchmarks.encode",
            *arguments,
            "--alone-frames",
            str(given.alone_frames),
        ]
        settings = EncodeSettings(
            model=given.model,
            preset=given.preset,
            chunk_frames=given.chunk_frames,
            scene_cuts="none",  # chunks of one length, and the same windows as alone
        )
        later_frames = (given.chunks - 1) * given.chunk_frames
        for number in range(given.rounds):
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
            backend += [Cost(*cost) for cost in json.loads(done.stdout.splitlines()[-1])]
            first, _ = encode(short, Path(name, f"{number}s.mkv"), settings, given.threads)
            all_chunks, later_seconds = encode(clip, Path(name, f"{number}.mkv"), settings, given.threads)
            others.append(all_chunks.wall - later_seconds)
            whole.append(Cost(later_seconds / later_frames, (all_chunks.cpu - first.cpu) / later_frames))
            print(f"round {number + 1} of {given.rounds}: {compared(backend, whole)}", flush=True)
    print(
        f"{given.size}, {given.threads} threads, --preset {given.preset}, s a frame: {compared(backend, whole)};",
        end=" ",
    )
    print(f"the first chunk, start and finish {median(others):.1f} s")


def compared(backend: list[Cost], whole: list[Cost]) -> str:
    """Medians side by side."""
    parts = []
    for what in ("wall", "cpu"):
        alone, encode = (median(getattr(cost, what) for cost in costs) for costs in (backend, whole))
        parts.append(f"{what} {alone:.3f} alone, {encode:.3f} encode ({encode / alone - 1:+.1%})")
    return ", ".join(parts)


def cpu_seconds() -> float:
    """Processor time of this process and of its children that have ended, over all cores."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def encode(clip: Path, output: Path, settings: EncodeSettings, threads: int) -> tuple[Cost, float]:
    """Cost of the whole call, and wall seconds from the end of the first chunk to the end of the last."""
    times, cpu, began = ChunkTimes(), cpu_seconds(), time.perf_counter()
    encode_file(clip, output, settings, executor=LocalExecutor(threads=threads), reporter=times)
    cost = Cost(time.perf_counter() - began, cpu_seconds() - cpu)
    return cost, times.finished_at[-1] - times.finished_at[0]


def alone(clip: Path, model: str, threads: int, count: int) -> list[Cost]:
    """Seconds of the backend, wall and processor, for each of the last ``count`` frames; one before isn't counted."""
    torch.set_num_threads(threads)
    backend = create_backend(BackendOptions(model=model))
    with av.open(str(clip)) as container:
        decoded = [
            frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU709) for frame in container.decode(video=0)
        ]
    frames = [torch.from_numpy(frame.to_ndarray()).permute(2, 0, 1).float() / 255 for frame in decoded]
    radius, costs = backend.radius_frames, []
    for centre in range(len(frames) - count - 1, len(frames)):
        places = [min(max(place, 0), len(frames) - 1) for place in range(centre - radius, centre + radius + 1)]
        window = torch.stack([frames[place] for place in places])
        wall, cpu = time.perf_counter(), time.process_time()
        backend(window)
        costs.append(Cost(time.perf_counter() - wall, time.process_time() - cpu))
    return costs[1:]


def write_clip(film: Path, clip: Path, width: int, height: int, frames: int) -> None:
    """The film's first frames at another size, H.264."""
    with av.open(str(film)) as source, av.open(str(clip), "w") as target:
        stream = target.add_stream("libx264", rate=24, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        number = -1
        for number, frame in enumerate(islice(source.decode(video=0), frames)):
            small = frame.reformat(width, height, "yuv420p")
            small.pts, small.time_base = number, Fraction(1, 24)
            target.mux(stream.encode(small))
        if number + 1 < frames:
            raise SystemExit(f"{film}: has fewer than {frames} frames")
        target.mux(stream.encode(None))


if __name__ == "__main__":
    main()

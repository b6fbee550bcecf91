"""The whole pipeline through vspipe: decoding, colour conversion, inference and output together.

    python scripts/benchmark_pipeline.py film.mkv 960x540 dslnet-lut

Starting costs nothing here: a time is the difference between a run of many frames and a run of few.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from plugin_tests.benchmarks.one import in_own_process

PIPELINE_SIZE = (960, 540)
PIPELINE_FRAMES = 6

SCRIPT = """
import vapoursynth as vs
core = vs.core
clip = core.bs.VideoSource(source, showprogress=0).std.Loop(1000)
clip = clip.resize.Bicubic(width=int(width), height=int(height), format=vs.YUV420P8)
core.dslnet.Convert(
    clip,
    model=model,
    device=device,
    precision=precision,
    backend=backend,
    num_streams=int(streams),
    format=vs.YUV420P10,
).set_output()
"""


class Pipeline(NamedTuple):
    """What to run: ``model`` at ``size`` (width, height) on the frames of ``clip``.

    ``threads`` are those of one frame; 0 for PyTorch's own number.
    """

    clip: Path
    size: tuple[int, int]
    model: str
    precision: str = "auto"
    backend: str = "auto"
    streams: int = 1
    threads: int = 0
    device: str = "cpu"


def seconds_a_frame(pipeline: Pipeline, *, frames: int, warm_up: int = 1) -> float:
    """Seconds a frame of the pipeline once ``warm_up`` frames are through."""
    return (_seconds(pipeline, warm_up + frames) - _seconds(pipeline, warm_up)) / frames


def pipeline_part(arguments: argparse.Namespace) -> dict[str, float]:
    """Frames a second through vspipe against the backend alone, and with two streams; all are means."""
    pipeline = Pipeline(arguments.clip, PIPELINE_SIZE, arguments.model, precision="bf16", backend="torch")
    what = {"backend": "torch", "precision": "bf16", "size": PIPELINE_SIZE, "repeat": PIPELINE_FRAMES}
    # Before and behind: machines drift by more than what is measured here.
    before = in_own_process(arguments, **what)["mean_seconds"]
    one = seconds_a_frame(pipeline, frames=PIPELINE_FRAMES)
    alone = (before + in_own_process(arguments, **what)["mean_seconds"]) / 2
    two = seconds_a_frame(pipeline._replace(streams=2), frames=PIPELINE_FRAMES, warm_up=2)
    # A frame on all threads leaves none for a second one; on a thread each, two frames have to go side by side.
    single = pipeline._replace(threads=1)
    one_single, two_single = (
        seconds_a_frame(single._replace(streams=streams), frames=PIPELINE_FRAMES, warm_up=2) for streams in (1, 2)
    )
    print(f"\ntorch bf16, {PIPELINE_SIZE[0]}x{PIPELINE_SIZE[1]}: backend alone {1 / alone:.3f} fps,", end=" ")
    print(f"vspipe {1 / one:.3f} ({alone / one:.0%}), with num_streams=2 {1 / two:.3f} ({one / two:.2f}x);", end=" ")
    print(f"on one thread a frame {1 / one_single:.3f}, with num_streams=2 {1 / two_single:.3f}", flush=True)
    return {"vspipe": alone / one, "two_streams": one / two, "two_streams_of_a_thread": one_single / two_single}


def _seconds(pipeline: Pipeline, frames: int) -> float:
    width, height = pipeline.size
    arguments = {
        "source": pipeline.clip.resolve(),
        "width": width,
        "height": height,
        "model": pipeline.model,
        "device": pipeline.device,
        "precision": pipeline.precision,
        "backend": pipeline.backend,
        "streams": pipeline.streams,
    }
    given = [part for name, value in arguments.items() for part in ("-a", f"{name}={value}")]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "pipeline.vpy")
        script.write_text(SCRIPT)
        command = [vspipe(), "-e", str(frames - 1), *given, str(script), "--"]
        # vspipe takes the first python on the PATH for its own.
        environment = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
        if pipeline.threads:
            environment["OMP_NUM_THREADS"] = str(pipeline.threads)
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    told = re.search(r"Output \d+ frames in ([\d.]+) seconds", done.stderr)
    if told is None:
        raise SystemExit(f"vspipe failed: {done.stderr.strip()}")
    return float(told[1])


def vspipe() -> str:
    """The vspipe of this environment."""
    beside = Path(sys.executable).with_name("vspipe")
    found = str(beside) if beside.exists() else shutil.which("vspipe")
    if found is None:
        raise SystemExit("vspipe is not on the PATH: activate the environment of vapoursynth")
    return found


def main() -> None:
    """Measure one pipeline."""
    clip, size, model = sys.argv[1:]
    width, height = map(int, size.split("x"))
    each = seconds_a_frame(Pipeline(Path(clip), (width, height), model), frames=24 if model.endswith("-lut") else 4)
    print(f"{each:.3f} s a frame, {1 / each:.2f} fps")


if __name__ == "__main__":
    main()

"""The whole pipeline through vspipe: decoding, colour conversion, inference and output together.

    python scripts/benchmark_pipeline.py film.mkv 960x540 dslnet-lut

Starting costs nothing here: a time is the difference between a run of many frames and a run of few.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

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


if __name__ == "__main__":
    clip, size, model = sys.argv[1:]
    width, height = map(int, size.split("x"))
    each = seconds_a_frame(Pipeline(Path(clip), (width, height), model), frames=24 if model.endswith("-lut") else 4)
    print(f"{each:.3f} s a frame, {1 / each:.2f} fps")

"""Two builds of vsdslnet side by side, in turn and in one run: LUTs, plain conversion, first frames, scrubbing.

    git worktree add ../before v0.1.0 && python -m venv ../before/.venv && ../before/.venv/bin/pip install ../before
    python scripts/benchmark_builds.py --clip film.mkv --before ../before/.venv/bin/python --sizes 1920x1080,3840x2160

Each measurement is a process of its own, of the one build and then of the other, --repeat times; what is told is the
median of each build and the median of the ratios of neighbours: other work on the machine hits both alike. "CPU" is
the processor time of all threads, user and system, and hardly depends on other work. Frames come from memory: no
decoder is timed but in "first", where vspipe starts, opens the clip and ends after one frame.

    lut     frames a second of model="dslnet-lut" in order, between two key frames whose LUTs are made
    scrub   the same frames in random order, which is what dragging a previewer's slider asks for
    plain   strength=0
    first   seconds from vspipe's start to its end, for the first frame of model="dslnet-lut"
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WHATS = ("lut", "scrub", "plain", "first")
SHOWN_FRAMES = 8
KEY_INTERVAL_FRAMES = 48
WARM_UP_FRAMES = 22
"""The core keeps twenty frames of what is read in order: a film's first ones find new memory, all others theirs."""
FIRST = """
import vapoursynth as vs
clip = vs.core.bs.VideoSource(source, showprogress=0).resize.Bicubic(width=WIDTH, height=HEIGHT, format=vs.YUV420P8)
vs.core.dslnet.Convert(clip, model="dslnet-lut", format=vs.YUV420P10).set_output()
"""


def main() -> None:
    """Run what the arguments ask for and print a table (Markdown)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clip", type=Path, required=True, help="a BT.709 video to take frames from")
    parser.add_argument("--before", type=Path, required=True, help="the Python of the other build")
    parser.add_argument("--before-path", default="", help="PYTHONPATH for it")
    parser.add_argument("--now", type=Path, default=Path(sys.executable), help="the Python of this build")
    parser.add_argument("--now-path", default=str(Path(__file__).resolve().parent.parent), help="PYTHONPATH for it")
    parser.add_argument("--only", default=",".join(WHATS), help="some of " + ",".join(WHATS))
    parser.add_argument("--sizes", default="1920x1080,3840x2160")
    most = KEY_INTERVAL_FRAMES - 1 - WARM_UP_FRAMES
    parser.add_argument("--frames", type=int, default=most, choices=range(1, most + 1), metavar=f"1..{most}")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.clip, arguments.frames, **json.loads(arguments.one))))
        return
    print("| | size | s a frame, before | now | times as fast | CPU s, before | now | ratio | faults, before | now |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for size in arguments.sizes.split(","):
        for what in arguments.only.split(","):
            pairs = [
                (one(arguments, arguments.before, arguments.before_path, what, size),
                 one(arguments, arguments.now, arguments.now_path, what, size))
                for _ in range(arguments.repeat)
            ]  # fmt: skip
            print(row(what, size, pairs), flush=True)


def row(what: str, size: str, pairs: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    """A line of the table: medians, and medians of ratios."""
    cells = [what, size]
    for key, form in (("seconds", ".4f"), ("cpu", ".4f"), ("faults", ".0f")):
        cells += [f"{statistics.median(pair[build][key] for pair in pairs):{form}}" for build in (0, 1)]
        if key != "faults":
            cells.append(f"{statistics.median(before[key] / now[key] for before, now in pairs):.2f}")
    return "| " + " | ".join(cells) + " |"


def one(arguments: argparse.Namespace, python: Path, path: str, what: str, size: str) -> dict[str, float]:
    """A measurement of a build, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": path, "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]])}
    if what == "first":
        return first_frame(arguments.clip, python, size, environment)
    asked = json.dumps({"what": what, "size": size})
    command = [str(python), __file__, "--clip", str(arguments.clip), "--before", "-", "--frames", str(arguments.frames)]
    done = subprocess.run([*command, "--one", asked], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def first_frame(clip: Path, python: Path, size: str, environment: dict[str, str]) -> dict[str, float]:
    """vspipe from its start to its end, for one frame."""
    width, height = size.split("x")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "first.vpy")
        script.write_text(FIRST.replace("WIDTH", width).replace("HEIGHT", height))
        command = [str(python.with_name("vspipe")), "-e", "0", "-a", f"source={clip.resolve()}", str(script), "--"]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return spent(before, started, 1, resource.RUSAGE_CHILDREN)


def measure(source: Path, frames: int, *, what: str, size: str) -> dict[str, float]:
    """Seconds, processor time and page faults a frame of this process's build."""
    import vapoursynth as vs

    core = vs.core
    width, height = map(int, size.split("x"))
    shown: Any = core.bs.VideoSource(str(source.resolve()), showprogress=0)[:SHOWN_FRAMES]
    shown = shown.resize.Bicubic(width=width, height=height, format=vs.YUV420P8)
    held = [shown.get_frame(n) for n in range(SHOWN_FRAMES)]
    blank = core.std.BlankClip(shown, length=1 + 100 * KEY_INTERVAL_FRAMES, keep=True)
    clip = core.std.ModifyFrame(blank, blank, lambda n, f: held[n % SHOWN_FRAMES])
    clip = clip.std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1)  # as most films, whatever the clip was
    without_a_network()
    if what == "plain":
        hdr = core.dslnet.Convert(clip, strength=0, format=vs.YUV420P10)
    else:
        hdr = core.dslnet.Convert(clip, model="dslnet-lut", format=vs.YUV420P10, scene_cuts="none")
    hdr.get_frame(KEY_INTERVAL_FRAMES // 2).close()  # both LUTs are made
    between = range(1, KEY_INTERVAL_FRAMES)
    if what == "scrub":
        order = random.Random(1).choices(between, k=WARM_UP_FRAMES + frames)
        shown_frames = (hdr.get_frame(n) for n in order)
    else:
        shown_frames = hdr[between[0] : between[0] + WARM_UP_FRAMES + frames].frames(close=True)
    for _ in range(WARM_UP_FRAMES):
        next(shown_frames).close()
    gc.freeze()  # frames() ends with a full collection, once a film
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for frame in shown_frames:
        frame.close()
    return spent(before, started, frames, resource.RUSAGE_SELF)


def without_a_network() -> None:
    """LUTs from nothing: they are made before anything is timed, and the network would take most of a run."""
    import numpy as np
    import torch

    from vsdslnet.plugin import lut
    from vsdslnet.plugin.frames import reporting

    axis = np.linspace(0, 1, 33, dtype=np.float32) ** 0.9 * 0.7
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    lattice = np.stack([red, green, blue])
    if hasattr(lut, "_lattice_selector"):  # the first builds'

        def learn(frames: list[Any]) -> Any:
            learnt = frames[len(frames) // 2].copy()
            learnt.props["DSLNetLattice"] = lattice.tobytes()
            return learnt

        lut._lattice_selector = lambda settings: reporting(learn)
    else:
        from vsdslnet.inference.lut import distil

        distil.distil = lambda window, backend: torch.from_numpy(lattice)


def spent(before: resource.struct_rusage, started: float, frames: int, who: int) -> dict[str, float]:
    """What a frame took since."""
    seconds, after = time.perf_counter() - started, resource.getrusage(who)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    faults = after.ru_minflt - before.ru_minflt
    return {"seconds": seconds / frames, "cpu": cpu / frames, "faults": faults / frames}


if __name__ == "__main__":
    main()

"""Make the weights that ship, from material to file.

    python -m vsdslnet.training weights --data DATA --out runs/shipped

Builds the datasets, then trains in four runs, because what one learns another would undo: a touch-up of the whole
network behind the restoration costs a part of it, of the conditions alone (settle) nothing. Last come two runs of the
conditions on all the pictures, one nearer to films and one to phones; the result is the average of both and of
``settle``. What all of them learnt of the tone was simulated, and is unlearnt then: ``new-base`` brings the network
onto the measured base, whose gain follows the neighbourhood, and ``local`` goes on with the restoration there, with
a head that blends frames. The fast model learns the same restoration from scratch (``fast``), and then the full
network's pictures (``distil``).

Every command can be called alone; ``--list`` prints them and does nothing. Killed at any moment, the same command goes
on. Four hours on two cores, the fast model not counted.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

DATASETS = {
    "train": ("--windows", "4000", "--seed", "2"),
    "tone": ("--windows", "5000", "--seed", "41", "--stage", "tone"),
    "tone-2": ("--windows", "8000", "--seed", "43", "--stage", "tone"),
    "tone-3": ("--windows", "8000", "--seed", "45", "--stage", "tone"),
    "restoration": ("--windows", "3200", "--seed", "5", "--stage", "restoration"),
    "local": ("--windows", "1800", "--seed", "3", "--stage", "local"),
}
LESSON_WINDOWS = ("--lesson-windows", "600")
"""Pictures by the full network that the fast one learns from; a second each."""

SHARE_OF_TOUCH_UP = 0.15
"""Blended into the restored network: without it a pixel far from an object that enters shifted by 8.3 10-bit codes."""

LEANINGS: dict[str, tuple[int, dict[str, float]]] = {
    "films": (51, {}),
    "phones": (52, {"colourist": 0.25, "gainmap": 0.15, "gainmap_local": 0.15}),
}
"""The last runs, schedule ``conditions``: seed, and how often looks are drawn where it differs from the schedule."""

SHARE_OF_SETTLED = 0.3
"""The rest of the result: keeps greys from falling and fades smooth, which the last runs alone do not."""


def main(given: Sequence[str] | None = None) -> None:
    """Parse, then run every command until one fails."""
    parser = argparse.ArgumentParser(
        prog="python -m vsdslnet.training weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="material, as build takes it")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder for all of it; the results are dslnet{,-fast}.safetensors",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that build datasets")
    parser.add_argument("--list", action="store_true", help="print the commands and do nothing")
    arguments = parser.parse_args(given)
    for command in commands(arguments.data, arguments.out, arguments.workers):
        print(shlex.join(["python", *command]), flush=True)
        if arguments.list:
            continue
        done = subprocess.run([sys.executable, *command], check=False)
        if done.returncode:
            raise SystemExit(f"weights: {command[2]} failed; the same command goes on from there")


def commands(data: Path, out: Path, workers: int) -> list[list[str]]:
    """Commands and their arguments, in order."""
    datasets = {name: str(out / "datasets" / name) for name in DATASETS}
    # Tone is learnt from as many pictures as there are; the restoration from windows that are degraded more.
    tone = [
        "--dataset",
        datasets["train"],
        "--tone-dataset",
        datasets["tone"],
        "--tone-dataset",
        datasets["restoration"],
    ]
    restoration = ["--dataset", datasets["restoration"]]
    local = ["--dataset", datasets["local"]]
    calm, simulated = out / "calm.safetensors", out / "simulated.safetensors"

    def end_of(run: str) -> Path:
        return out / run / "ema.safetensors"

    def train(run: str, given: list[str], start: Path | None = None, schedule: str = "", *more: str) -> list[str]:
        begin = ("--start", str(start)) if start else ()
        return of_training("train", *given, "--run", str(out / run), "--schedule", schedule or run, *begin, *more)

    def leaning(name: str, seed: int, looks: dict[str, float]) -> list[str]:
        shares = [word for look, share in looks.items() for word in ("--look-share", look, str(share))]
        more = ["--tone-dataset", datasets["tone-2"], "--tone-dataset", datasets["tone-3"]]
        how = ["--seed", str(seed), *shares]
        return train(f"conditions-{name}", [*tone, *more], end_of("settle"), "conditions", *how)

    lessons = ["--teacher", str(out / "dslnet.safetensors"), "--lessons", str(out / "lessons"), *LESSON_WINDOWS]
    share_of_leaning = (1 - SHARE_OF_SETTLED) / len(LEANINGS)
    leanings = {end_of(f"conditions-{name}"): share_of_leaning for name in LEANINGS}

    return [
        *(
            of_training("build", "--data", str(data), "--out", datasets[name], "--workers", str(workers), *how)
            for name, how in DATASETS.items()
        ),
        train("two-cores", tone),
        train("touch-up", tone, end_of("two-cores")),
        train("restore", restoration, end_of("touch-up")),
        blend({end_of("restore"): 1 - SHARE_OF_TOUCH_UP, end_of("touch-up"): SHARE_OF_TOUCH_UP}, calm),
        train("settle", tone, calm),
        *(leaning(name, seed, looks) for name, (seed, looks) in LEANINGS.items()),
        blend({end_of("settle"): SHARE_OF_SETTLED, **leanings}, simulated),
        [*train("new-base", local, simulated), "--base", "measured", "--gain-radius", "3"],
        [*train("local", local, end_of("new-base")), "--frame-blend"],
        blend({end_of("local"): 1.0}, out / "dslnet.safetensors"),
        train("fast", restoration),
        [*train("distil", restoration, end_of("fast")), *lessons],
        blend({end_of("distil"): 1.0}, out / "dslnet-fast.safetensors"),
    ]


def blend(shares: dict[Path, float], result: Path) -> list[str]:
    """The average of networks."""
    of = [word for path, share in shares.items() for word in ("--of", str(path), str(share))]
    return of_training("blend", *of, "--out", str(result))


def of_training(name: str, *arguments: str) -> list[str]:
    """A command of ``python -m vsdslnet.training``."""
    return ["-m", "vsdslnet.training", name, *arguments]

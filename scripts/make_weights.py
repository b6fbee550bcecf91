#!/usr/bin/env python3
"""Make the weights that ship, from material to file: ``python scripts/make_weights.py --data DATA --out runs/shipped``.

Builds the pools and trains in the order of :data:`RUNS`, each with a script that can be called alone; ``--list`` prints
those commands and does nothing. Killed at any moment, the same command goes on. About three hours on two cores.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent

# Four runs, because what one learns another would undo: a touch-up of the whole network behind the restoration costs
# a part of it, of the conditions alone (settle) nothing.
POOLS = {
    "train": ("--windows", "4000", "--seed", "2"),
    "tone": ("--windows", "5000", "--seed", "41", "--stage", "tone"),
    "restoration": ("--windows", "3200", "--seed", "5", "--stage", "restoration"),
}
RUNS = {  # name and schedule: the run it starts from
    "two-cores": None,
    "touch-up": "two-cores",
    "restore": "touch-up",
    "settle": "restore",
}
CALM = "touch-up"
SHARE_OF_CALM = 0.15
"""Blended into the last run: before it, a pixel far from an object that enters shifted by 8.3 codes of 10 bits."""


def main() -> None:
    """Parse, then run every command until one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="material, as build_dataset.py takes it")
    parser.add_argument("--out", type=Path, required=True, help="folder for pools, runs and dslnet.safetensors")
    parser.add_argument("--workers", type=int, default=2, help="processes that build pools")
    parser.add_argument("--list", action="store_true", help="print the commands and do nothing")
    arguments = parser.parse_args()
    for command in commands(arguments.data, arguments.out, arguments.workers):
        print(shlex.join(["python", *command]), flush=True)
        if arguments.list:
            continue
        done = subprocess.run([sys.executable, *command], check=False)
        if done.returncode:
            raise SystemExit(f"make_weights: {Path(command[0]).name} failed; the same command goes on from there")


def commands(data: Path, out: Path, workers: int) -> list[list[str]]:
    """Scripts and their arguments, in order."""
    pools = {name: str(out / "pools" / name) for name in POOLS}
    steps = [
        script("build_dataset.py", "--data", str(data), "--out", pools[name], *how, "--workers", str(workers))
        for name, how in POOLS.items()
    ]
    for name, start in RUNS.items():
        # The restoration learns from windows that are spoilt more; tone from as many pictures as there are.
        given = ["--pool", pools["restoration" if name == "restore" else "train"]]
        if name != "restore":
            given += ["--tone-pool", pools["tone"], "--tone-pool", pools["restoration"]]
        if start is not None:
            given += ["--start", trained(out, start)]
        steps.append(script("train.py", *given, "--run", str(out / name), "--schedule", name))
    last, result = trained(out, list(RUNS)[-1]), str(out / "dslnet.safetensors")
    blend = ("--share-of-b", str(SHARE_OF_CALM), "--out", result)
    return [*steps, script("blend.py", last, trained(out, CALM), *blend)]


def script(name: str, *arguments: str) -> list[str]:
    """A command of a script beside this one."""
    return [str(SCRIPTS / name), *arguments]


def trained(out: Path, run: str) -> str:
    """The weights a run ends with."""
    return str(out / run / "ema.safetensors")


if __name__ == "__main__":
    main()

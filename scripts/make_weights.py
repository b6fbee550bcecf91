#!/usr/bin/env python3
"""Make the weights that ship, from material to file: ``python scripts/make_weights.py --data DATA --out runs/shipped``.

Builds the pools, then trains in four runs, because what one learns another would undo: a touch-up of the whole network
behind the restoration costs a part of it, of the conditions alone (settle) nothing. Every command can be called
alone; ``--list`` prints them and does nothing. Killed at any moment, the same command goes on. Two hours and a quarter
on two cores.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent
POOLS = {
    "train": ("--windows", "4000", "--seed", "2"),
    "tone": ("--windows", "5000", "--seed", "41", "--stage", "tone"),
    "restoration": ("--windows", "3200", "--seed", "5", "--stage", "restoration"),
}
SHARE_OF_TOUCH_UP = "0.15"
"""Blended into the restored network: without it a pixel far from an object that enters shifted by 8.3 10-bit codes."""


def main() -> None:
    """Parse, then run every command until one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="material, as build_dataset.py takes it")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for all of it; dslnet.safetensors is the result"
    )
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
    if not arguments.list:
        (arguments.out / "dslnet.safetensors").write_bytes((arguments.out / "settle" / "ema.safetensors").read_bytes())


def commands(data: Path, out: Path, workers: int) -> list[list[str]]:
    """Scripts and their arguments, in order."""
    pools = {name: str(out / "pools" / name) for name in POOLS}
    # Tone is learnt from as many pictures as there are; the restoration from windows that are spoilt more.
    tone = ["--pool", pools["train"], "--tone-pool", pools["tone"], "--tone-pool", pools["restoration"]]
    restoration = ["--pool", pools["restoration"]]
    first, touched, restored = (str(out / run / "ema.safetensors") for run in ("two-cores", "touch-up", "restore"))
    calm = str(out / "calm.safetensors")

    def train(run: str, given: list[str], *start: str) -> list[str]:
        return script("train.py", *given, "--run", str(out / run), "--schedule", run, *start)

    return [
        *(
            script("build_dataset.py", "--data", str(data), "--out", pools[name], "--workers", str(workers), *how)
            for name, how in POOLS.items()
        ),
        train("two-cores", tone),
        train("touch-up", tone, "--start", first),
        train("restore", restoration, "--start", touched),
        script("blend.py", restored, touched, "--share-of-b", SHARE_OF_TOUCH_UP, "--out", calm),
        train("settle", tone, "--start", calm),
    ]


def script(name: str, *arguments: str) -> list[str]:
    """A command of a script beside this one."""
    return [str(SCRIPTS / name), *arguments]


if __name__ == "__main__":
    main()

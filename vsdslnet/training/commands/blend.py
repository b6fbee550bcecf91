"""Average networks that were trained from one another, or from a common one.

    python -m vsdslnet.training blend --of A 0.85 --of B 0.15 --out OUT

Between a run and the one it came from lies a network that has learnt less, and is calmer (a picture follows less
what enters at its other side); between runs that specialised lies one that is a little better at all of it than a
run that learnt all at once (model soups). A share below 0 steps away from what that run learnt. What it costs has to be
measured: scripts/reliability.py temporal, python -m vsdslnet.training evaluate.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from vsdslnet import weights
from vsdslnet.errors import ArgumentError, DslnetError


def main(given: Sequence[str] | None = None) -> None:
    """Read all, average, write."""
    parser = argparse.ArgumentParser(
        prog="python -m vsdslnet.training blend",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--of",
        nargs=2,
        action="append",
        required=True,
        metavar=("MODEL", "SHARE"),
        help="a model's name or a .safetensors file, and its share; all have one configuration",
    )
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    arguments = parser.parse_args(given)
    try:
        blend(_shares(arguments.of), arguments.out)
    except DslnetError as error:
        raise SystemExit(f"blend: {error}") from None


@torch.no_grad()
def blend(shares: Mapping[str, float], out: Path) -> None:
    """Write the sum of share times weights; ArgumentError where shares don't sum to 1 or networks don't fit."""
    if not math.isclose(sum(shares.values()), 1, abs_tol=1e-6):
        raise ArgumentError("of", list(shares.values()), "shares that sum to 1", "give the rest to one of them")
    networks = {name: weights.load_network(weights.read(weights.find(name))) for name in shares}
    first, *others = networks.values()
    if any(network.config != first.config for network in others):
        raise ArgumentError(
            "of", list(shares), "networks of the same configuration", "blend runs with their common start"
        )
    for values in zip(*(network.parameters() for network in networks.values()), strict=True):
        values[0].copy_(sum(share * value for share, value in zip(shares.values(), values, strict=True)))
    parts = ", ".join(f"{share:g} of {_run(name)}" for name, share in shares.items())
    weights.save(first, out, notes={"training": f"blend: {parts}"})


def _run(name: str) -> str:
    """Runs are told apart by their folders; all of them end in an ema.safetensors."""
    path = Path(name)
    return path.parent.name if path.name == "ema.safetensors" else path.stem


def _shares(given: list[list[str]]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for name, share in given:
        try:
            shares[name] = shares.get(name, 0.0) + float(share)
        except ValueError:
            raise ArgumentError("of", share, "a number after the model") from None
    return shares

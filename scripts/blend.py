#!/usr/bin/env python3
"""Average two networks of one descent, weight by weight: ``python scripts/blend.py A B --share-of-b 0.15 --out OUT``.

Between a run and the one it came from lies a network that has learnt less, and is calmer (a picture follows less
what enters at its other side). What it costs has to be measured: scripts/reliability.py temporal, scripts/evaluate.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from vsdslnet import weights
from vsdslnet.errors import ArgumentError, DslnetError


def main() -> None:
    """Read both, average, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", help="a model's name or a .safetensors file")
    parser.add_argument("b", help="another of the same shape, from the same descent")
    parser.add_argument("--share-of-b", type=float, required=True, help="0 to 1")
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    arguments = parser.parse_args()
    try:
        blend(arguments.a, arguments.b, arguments.share_of_b, arguments.out)
    except DslnetError as error:
        raise SystemExit(f"blend: {error}") from None


@torch.no_grad()
def blend(a: str, b: str, share_of_b: float, out: Path) -> None:
    """Write (1 - ``share_of_b``) of the one plus ``share_of_b`` of the other; ArgumentError where they don't fit."""
    if not 0 <= share_of_b <= 1:
        raise ArgumentError("share-of-b", share_of_b, "0 to 1")
    network, other = (weights.load_network(weights.read(weights.find(name))) for name in (a, b))
    if network.config != other.config:
        raise ArgumentError(
            "b", b, "a network of the same configuration as the first", "blend a run with its own start"
        )
    for value, theirs in zip(network.parameters(), other.parameters(), strict=True):
        value.lerp_(theirs, share_of_b)
    weights.save(network, out, notes={"training": f"{1 - share_of_b:g} of one run, {share_of_b:g} of another"})


if __name__ == "__main__":
    main()

"""Is bf16 good enough for a model? Compare it with plain fp32 on real frames, and note it in the weights."""

from __future__ import annotations

import argparse

from plugin_tests.benchmarks.one import measure
from vsdslnet import weights
from vsdslnet.inference.precision import JUDGED_KEYS

__all__ = ["PLACES", "judge"]

PLACES = (0.25, 0.5, 0.75)
"""Where in a clip frames are judged."""
MAX_MEAN_DE_ITP = 0.1
MAX_CODES = 4.0


def judge(arguments: argparse.Namespace) -> None:
    """Compare bf16 with plain fp32 and write the verdict into the weights file."""
    if arguments.clip is None:
        raise SystemExit("--judge needs real frames: give --clip")
    results = [
        measure(arguments, backend="torch", precision="bf16", size=[960, 540], error=True, repeat=1, place=place)
        for place in PLACES
    ]
    codes, worst = (max(float(str(result[key])) for result in results) for key in ("codes", "de_itp"))
    good = worst <= MAX_MEAN_DE_ITP and codes <= MAX_CODES
    file = weights.read(weights.find(arguments.model))
    notes = file.metadata | {JUDGED_KEYS["bf16"]: "true" if good else "false"}
    weights.save(weights.load_network(file), file.path, notes=notes)
    print(f"bf16: at most {codes:.2f} codes of 10 bits, mean dE_ITP at most {worst:.3f}:", end=" ")
    print("good, noted" if good else f"not within {MAX_CODES:g} and {MAX_MEAN_DE_ITP}, noted")

"""Measure the promises of RELIABILITY.md and print each with its bound and its figure.

    python scripts/reliability.py                              # all
    python scripts/reliability.py --quick                      # what the test suite runs
    python scripts/reliability.py temporal --model my.safetensors --look film

Every item runs in a process of its own: one that crashes or hangs breaks its promises and no others. The
exit code is 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from plugin_tests.reliability.figures import Figure, Options  # noqa: E402

ITEMS = {
    "order": ("plugin_tests.reliability.conformance.order", "random seeks and threads give the same bits"),
    "colour": ("plugin_tests.reliability.conformance.colour_numbers", "curves and differences against colour-science"),
    "trained": ("plugin_tests.reliability.conformance.trained", "the trained network on flat fields"),
    "temporal": ("plugin_tests.reliability.conformance.temporal", "over time: noise, an object, a flash, a fade"),
    "clips": ("plugin_tests.reliability.fuzz.clips", "generated clips: every format, odd sizes, wrong properties"),
    "arguments": ("plugin_tests.reliability.fuzz.arguments", "wrong values for every argument of Convert"),
    "weights": ("plugin_tests.reliability.fuzz.weights_files", "hostile weights files"),
    "media": ("plugin_tests.reliability.fuzz.media_files", "damaged media files through an encode"),
    "situations": ("plugin_tests.reliability.fuzz.situations", "odd files into every container"),
    "failures": ("plugin_tests.reliability.crash.failures", "failures injected at every step"),
    "lifetimes": ("plugin_tests.reliability.crash.lifetimes", "cores, exits, cycles, memory"),
    "kills": ("plugin_tests.reliability.crash.kill_encode", "encodes killed at random moments"),
    "files": ("plugin_tests.reliability.conformance.hdr10_files", "HDR10 fields of every preset and codec"),
    "supply": ("plugin_tests.reliability.conformance.supply", "dependencies, and no network at run time"),
}
LIMIT_SECONDS = 3600


def main() -> None:
    """Run the items asked for."""
    listed = "\n".join(f"  {name:12} {words}" for name, (_, words) in ITEMS.items())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nitems:\n{listed}", formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("items", nargs="*", metavar="item", help="which to measure; all if left out")
    parser.add_argument("--quick", action="store_true", help="fewer of everything")
    parser.add_argument("--model", default="dslnet", help="the trained model, by name or file")
    parser.add_argument("--look", help="a look's name or file, for temporal")
    parser.add_argument("--markdown", type=Path, help="write the figures here as a table of RELIABILITY.md")
    parser.add_argument("--in-process", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.items) - ITEMS.keys()):
        parser.error(f"{unknown[0]!r} is no item: {', '.join(ITEMS)}")
    if arguments.in_process:
        measure_here(arguments)
        return
    everything: dict[str, list[Figure]] = {}
    for name in arguments.items or ITEMS:
        began = time.monotonic()
        everything[name] = measured_apart(name, arguments)
        print(f"{name} ({time.monotonic() - began:.0f} s)")
        for figure in everything[name]:
            print("  " + figure.line())
            for detail in figure.details[:20]:
                print(f"            {detail}")
        sys.stdout.flush()
    if arguments.markdown:
        arguments.markdown.write_text(as_table(everything), encoding="utf-8")
    sys.exit(any(not figure.kept for found in everything.values() for figure in found))


def as_table(everything: dict[str, list[Figure]]) -> str:
    """Markdown: a row a promise."""
    rows = [
        f"| {name} | {figure.promise} | {figure.bound} | {'' if figure.kept else '**broken:** '}{figure.measured} |\n"
        for name, found in everything.items()
        for figure in found
    ]
    return "| item | promise | bound | measured |\n|---|---|---|---|\n" + "".join(rows)


def measured_apart(name: str, arguments: argparse.Namespace) -> list[Figure]:
    """An item's figures from a process of its own; one broken figure if it did not end well."""
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        command = [sys.executable, __file__, name, "--model", arguments.model, "--in-process", folder]
        command += ["--look", arguments.look] if arguments.look else []
        try:
            code = subprocess.run(
                command + ["--quick"] * arguments.quick, check=False, timeout=LIMIT_SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            return [_died(name, f"still running after {LIMIT_SECONDS} s")]
        found = Path(folder) / "figures.json"
        if code or not found.is_file():
            return [_died(name, f"exit code {code}")]
        return [Figure(**figure) for figure in json.loads(found.read_text())]


def measure_here(arguments: argparse.Namespace) -> None:
    """Measure the one item in this process and leave the figures in the folder given."""
    folder: Path = arguments.in_process
    scratch = folder / "scratch"
    scratch.mkdir()
    module = importlib.import_module(ITEMS[arguments.items[0]][0])
    figures = module.measure(Options(folder=scratch, model=arguments.model, look=arguments.look, quick=arguments.quick))
    (folder / "figures.json").write_text(json.dumps([asdict(figure) for figure in figures]))


def _died(name: str, how: str) -> Figure:
    return Figure(promise=f"{name} is measured to its end", bound="exit code 0", measured=how, kept=False)


if __name__ == "__main__":
    main()

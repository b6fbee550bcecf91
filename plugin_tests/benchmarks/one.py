"""One backend at one size, in a process of its own: time, memory, and the distance to the plain network.

``python -m plugin_tests.benchmarks.one --what JSON`` prints JSON; :func:`in_own_process` calls it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from plugin_tests.benchmarks.frames import frames
from plugin_tests.benchmarks.memory import base_bytes, peak_bytes
from plugin_tests.paths import ROOT
from vsdslnet import weights
from vsdslnet.color.ictcp import delta_e_itp
from vsdslnet.color.transfer import pq_to_nits
from vsdslnet.errors import DslnetError
from vsdslnet.inference.backends import create_backend
from vsdslnet.options import BackendOptions

__all__ = ["de_itp", "in_own_process", "measure", "plain"]

WARM_UP_ROWS = 160
"""Rows after which every layer has strips in memory."""
CODES_10_BIT = 876.0
"""Codes from black to white in 10-bit limited range."""


def main() -> None:
    """Measure what the arguments say and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="dslnet")
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--what", type=json.loads, required=True)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments, **arguments.what)))


def in_own_process(arguments: argparse.Namespace, **what: object) -> dict[str, float]:
    """:func:`measure` in a fresh interpreter."""
    module = "plugin_tests.benchmarks.one"
    command = [sys.executable, "-m", module, "--model", arguments.model, "--repeat", str(arguments.repeat)]
    if arguments.clip:
        command += ["--clip", str(arguments.clip)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        [*command, "--what", json.dumps(what)], stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(
    arguments: argparse.Namespace,
    *,
    backend: str,
    precision: str,
    size: Sequence[int],
    error: bool = False,
    repeat: int | None = None,
    place: float = 0.5,
    threads: int | None = None,
) -> dict[str, object]:
    """Time, memory and, with ``error``, distance to the plain network of one backend at one size."""
    if threads is not None:
        torch.set_num_threads(threads)
    file = weights.read(weights.find(arguments.model))
    network = weights.load_network(file)
    width, height = size
    try:
        if backend == "naive":
            render = plain(network)
        else:
            settings = BackendOptions(model=arguments.model, backend=backend, precision=precision, device="cpu")
            render = create_backend(settings)
    except DslnetError as problem:
        return {"failed": str(problem)}
    window = frames(arguments.clip, file.config.frames, width, height, place)
    render(window[..., :64, :64].contiguous())
    if repeat is None:
        repeat = arguments.repeat if width * height < 1920 * 1080 else 1
    before = base_bytes()
    if backend != "naive":
        # A film's frames find memory that the frame before had; the first one waits for the system to find it.
        render(window[..., :WARM_UP_ROWS, :].contiguous())
    seconds = []
    for left in reversed(range(repeat)):
        # Backends move neighbours in place: the last one leaves the frames as the network saw them.
        own = window.clone() if left else window
        start = time.perf_counter()
        pq = render(own)
        seconds.append(time.perf_counter() - start)
    result: dict[str, object] = {
        "seconds": min(seconds),
        "mean_seconds": statistics.mean(seconds),
        "mib": (peak_bytes() - before) / 2**20,
    }
    if error:
        network = network.to(memory_format=torch.channels_last)
        expected = plain(network)(window)
        result["codes"] = float((pq - expected).abs().max()) * CODES_10_BIT
        result["de_itp"] = de_itp(pq, expected)
    return result


def de_itp(pq: Tensor, expected: Tensor) -> float:
    """Mean dE_ITP between two PQ pictures."""
    lights = (pq_to_nits(each.clamp(0, 1)) for each in (pq, expected))
    return float(delta_e_itp(*lights).mean())


def plain(network: torch.nn.Module):  # type: ignore[no-untyped-def]
    """The network as it is, called like a backend."""

    @torch.inference_mode()
    def render(window: Tensor) -> Tensor:
        pq: Tensor = network(window[None])[0]
        return pq

    return render


if __name__ == "__main__":
    main()

"""Memory stays within its bounds, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vsdslnet.inference.precision import bf16_is_native

MEASURE = """
import resource, sys, torch
from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.inference.cpu.backend import CpuBackend
from vsdslnet.network.dslnet import DSLNet

width, height, dtype = int(sys.argv[1]), int(sys.argv[2]), getattr(torch, sys.argv[3])
backend = CpuBackend(DSLNet().eval(), target=Target(torch.device("cpu"), dtype))
backend(torch.rand(5, 3, 64, 64))
window = torch.rand(5, 3, height, width)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
backend(window)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "height", "dtype", "limit_mib"),
    [
        # The stream is full after some 20 strips, so that half a 1080p frame shows a whole one's peak.
        pytest.param(
            *(1920, 512, "bfloat16", 1024),
            marks=pytest.mark.skipif(
                not bf16_is_native(torch.device("cpu")), reason="emulated here: nobody takes bf16 to save memory"
            ),
        ),
        # Most of it grows with the width: 214 MiB here, 436 at 640, 1155 at most at 1920, which takes half a minute.
        (320, 512, "float32", 320),
    ],
)
def test_peak_above_the_base(width: int, height: int, dtype: str, limit_mib: int) -> None:
    command = [sys.executable, "-c", MEASURE, str(width), str(height), dtype]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert int(done.stdout) / 1024 <= limit_mib

"""Is half precision good enough for a model? Compare it with plain fp32 on real frames, and note it in the weights.

bf16 is the CPU backend's, fp16 the CUDA backend's. Where there is no device its layers run on the processor: inputs,
weights and results are fp16 and their sums fp32, as on a device's matrix units.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from plugin_tests.benchmarks.frames import frames, sizes_of
from plugin_tests.benchmarks.one import CODES_10_BIT, de_itp, plain
from plugin_tests.inference.cuda.late_device import LateDevice
from vsdslnet import weights
from vsdslnet.inference.backends import create_backend
from vsdslnet.inference.cuda.backend import CudaBackend
from vsdslnet.inference.cuda.device import CudaDevice
from vsdslnet.inference.precision import JUDGED_KEYS
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion.compensation import compensated
from vsdslnet.options import BackendOptions

__all__ = ["PLACES", "judge"]

PLACES = (0.25, 0.5, 0.75)
"""Where in a clip frames are judged."""
SIZE = "960x540"
MAX_MEAN_DE_ITP = 0.1
MAX_CODES = 4.0


def judge(arguments: argparse.Namespace) -> None:
    """Compare the precisions asked for with plain fp32 and write the verdicts into the weights file."""
    if arguments.clip is None:
        raise SystemExit("--judge needs real frames: give --clip")
    file = weights.read(weights.find(arguments.model))
    network = weights.load_network(file)
    [(width, height)] = sizes_of(arguments.sizes or SIZE)
    windows = [frames(arguments.clip, network.config.frames, width, height, place) for place in PLACES]
    exact = plain(network.to(memory_format=torch.channels_last))
    expected = [exact(_seen(network, window)) for window in windows]
    notes = dict(file.metadata)
    for precision in arguments.judge.split(","):
        render = _half(arguments.model, network, precision)
        pictures = [render(window.clone()) for window in windows]
        pairs = list(zip(pictures, expected, strict=True))
        codes = max(float((picture - one).abs().max()) for picture, one in pairs) * CODES_10_BIT
        worst = max(de_itp(picture, one) for picture, one in pairs)
        good = worst <= MAX_MEAN_DE_ITP and codes <= MAX_CODES
        notes[JUDGED_KEYS[precision]] = "true" if good else "false"
        print(f"{precision}: at most {codes:.2f} codes of 10 bits, mean dE_ITP at most {worst:.3f}:", end=" ")
        print("good, noted" if good else f"not within {MAX_CODES:g} and {MAX_MEAN_DE_ITP}, noted", flush=True)
    weights.save(network, file.path, notes=notes)


def _seen(network: DSLNet, window: Tensor) -> Tensor:
    return compensated(window[None])[0] if network.config.motion_compensated else window


class _SumsInFp32(TorchFunctionMode):
    """Convolutions of fp16 on a processor, which has none: by fp32, rounded where a device rounds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if (
            func in (F.conv2d, torch.conv2d, F.conv_transpose2d, torch.conv_transpose2d)
            and args[0].dtype == torch.float16
        ):
            wide = [each.float() if isinstance(each, Tensor) else each for each in args]
            named = {k: each.float() if isinstance(each, Tensor) else each for k, each in kwargs.items()}
            return func(*wide, **named).half()
        return func(*args, **kwargs)


def _half(model: str, network: DSLNet, precision: str):  # type: ignore[no-untyped-def]
    if precision == "fp16":
        if torch.cuda.is_available():
            return CudaBackend(network, CudaDevice(0), dtype=torch.float16)
        backend = CudaBackend(network, LateDevice(), dtype=torch.float16)

        def render(window: Tensor) -> Tensor:
            with _SumsInFp32():
                return backend(window)

        return render
    return create_backend(BackendOptions(model=model, backend="torch", precision=precision, device="cpu"))

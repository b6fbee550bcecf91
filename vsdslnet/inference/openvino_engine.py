"""The OpenVINO engine: the same stream of rows, its convolutions compiled by OpenVINO.

Offered for machines where its kernels are the better ones; "auto" never takes it, for on the x86 CPU it was
measured on the PyTorch engine was faster (see ``scripts/benchmark.py``).

OpenVINO is an optional extra. What depends on the window (folded 1x1 and dynamic convolutions, sampling)
stays in PyTorch, in fp32; so do the activations between layers: in bf16 OpenVINO rounds them on the way in.
"""

from __future__ import annotations

import importlib.util
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vsdslnet.errors import EngineError
from vsdslnet.inference.cpu.backend import TorchEngine
from vsdslnet.inference.cpu.strip_layers import Convolution, Target
from vsdslnet.network.dslnet import DSLNet

__all__ = ["OpenVinoEngine", "OpenVinoTarget", "check_openvino", "openvino_is_installed"]

_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}


def openvino_is_installed() -> bool:
    """Whether ``import openvino`` would work."""
    return importlib.util.find_spec("openvino") is not None


def check_openvino(device: torch.device, precision: torch.dtype) -> None:
    """EngineError if OpenVINO is not here, or not for this device or precision."""
    if device.type != "cpu":
        raise EngineError("backend='openvino' runs on the CPU; add device='cpu', or use backend='torch'")
    if not openvino_is_installed():
        raise EngineError("backend='openvino': it is not installed; pip install openvino, or use 'torch'")
    if precision not in _HINTS:
        raise EngineError("backend='openvino' computes in fp32 or bf16; ask for one of them or 'auto'")


class OpenVinoTarget(Target):
    """Computes on the CPU, convolutions in OpenVINO with ``precision`` products; activations are fp32."""

    def __init__(self, precision: torch.dtype) -> None:
        super().__init__(torch.device("cpu"), torch.float32)
        # Its threads are its own, and a compiled model's requests take turns.
        self.lanes_pay = False
        # It compiles kernels for every shape, and parts have three.
        self.parts_pay = False
        import openvino  # type: ignore[import-untyped]

        self._core = openvino.Core()
        self._hint = _HINTS[precision]

    def convolution(self, weight: Tensor, bias: Tensor | None, *, groups: int, relu: bool) -> Convolution:
        """See :meth:`~vsdslnet.inference.cpu.strip_layers.Target.convolution`."""
        outputs, channels, context = weight.shape[0], weight.shape[1] * groups, weight.shape[-1] - 1
        # In bf16 depthwise kernels are no faster, and compiling some of them never ends (2026.4, 17x17).
        hint = "f32" if groups > 1 else self._hint
        # Kernels for a known shape are several times as fast, and a frame has two or three shapes a layer.
        compiled: dict[tuple[int, int], Any] = {}
        compiling = threading.Lock()
        # A request is one thread's: its tensors are set for every call.
        requests = threading.local()

        def request_for(size: tuple[int, int]) -> Any:
            own: dict[tuple[int, int], Any] | None = getattr(requests, "own", None)
            if own is None:
                own = requests.own = {}
            if size not in own:
                with compiling:
                    if size not in compiled:
                        shape = (1, *size, channels)
                        model = _convolution_model(weight, bias, shape, groups=groups, relu=relu)
                        compiled[size] = self._compile(model, hint)
                own[size] = compiled[size].create_infer_request()
            return own[size]

        def run(x: Tensor) -> Tensor:
            import openvino

            request = request_for((x.shape[-2], x.shape[-1]))
            y = torch.empty(1, x.shape[-2] - context, x.shape[-1], outputs)
            given = x.permute(0, 2, 3, 1).contiguous().numpy()
            request.set_input_tensor(openvino.Tensor(given, shared_memory=True))
            request.set_output_tensor(openvino.Tensor(y.numpy(), shared_memory=True))
            request.infer()
            return y.permute(0, 3, 1, 2)

        return run

    def _compile(self, model: Any, hint: str) -> Any:
        # Layers run one after the other: one stream, and no more threads than PyTorch was given.
        hints = {
            "INFERENCE_PRECISION_HINT": hint,
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(torch.get_num_threads()),
        }
        return self._core.compile_model(model, "CPU", hints)


def _convolution_model(weight: Tensor, bias: Tensor | None, shape: tuple[int, ...], *, groups: int, relu: bool) -> Any:
    """Input of ``shape`` (1, rows, columns, C) -> the convolution; only the columns are zero padded."""
    import openvino
    from openvino import opset13 as ops

    outputs, per_group, kernel, _ = weight.shape
    values = weight.detach().float().contiguous().numpy()
    x = ops.parameter(openvino.Shape(shape), np.float32)
    planes = ops.transpose(x, np.array([0, 3, 1, 2]))
    where: dict[str, Any] = {
        "strides": [1, 1],
        "pads_begin": [0, kernel // 2],
        "pads_end": [0, kernel // 2],
        "dilations": [1, 1],
    }
    if groups == 1:
        y = ops.convolution(planes, ops.constant(values), **where)
    else:
        grouped = values.reshape(groups, outputs // groups, per_group, kernel, kernel)
        y = ops.group_convolution(planes, ops.constant(grouped), **where)
    if bias is not None:
        y = ops.add(y, ops.constant(bias.detach().float().reshape(1, -1, 1, 1).numpy()))
    if relu:
        y = ops.relu(y)
    return openvino.Model([ops.transpose(y, np.array([0, 2, 3, 1]))], [x])


class OpenVinoEngine(TorchEngine):
    """Runs DSLNet in row strips with OpenVINO's convolutions, on the CPU."""

    def __init__(
        self,
        network: DSLNet,
        *,
        precision: torch.dtype = torch.float32,
        tile: tuple[int, int] | None = None,
    ) -> None:
        check_openvino(torch.device("cpu"), precision)
        super().__init__(network, target=OpenVinoTarget(precision), tile=tile)
        self.description = f"openvino cpu {str(precision).removeprefix('torch.')}"

"""What only shows on a device, seen without one: PyTorch's fake tensors know where each tensor lies."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from plugin_tests.inference.networks import SMALL, lively
from plugin_tests.questions import NoQuestions
from vsdslnet import weights
from vsdslnet.color.bases import base_pq
from vsdslnet.inference.cuda.network import DeviceNetwork
from vsdslnet.inference.foreign_frames import without_foreign_frames_on_device
from vsdslnet.network.motion.compensation import compensated_on_device

CUDA = torch.device("cuda", 0)
TINY = msgspec.structs.replace(SMALL, features=16, kernel=9, dynamic_kernel=3)


class StaysThere(TorchDispatchMode):
    """Everything an operator makes lies on the device; copies from the processor would wait for it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, kwargs, out)):
            if isinstance(tensor, torch.Tensor) and tensor.dim():
                assert tensor.device.type == "cuda", f"{func} has a tensor {tuple(tensor.shape)} on the processor"
        return out


def moved_there(laid_out: DeviceNetwork) -> None:
    """Exchange each tensor of a network, laid out on the processor, for a fake one on a device."""
    for module in {laid_out._network, laid_out._modulation}:
        for owner in module.modules():
            for kind in (owner._parameters, owner._buffers):
                for name, tensor in kind.items():
                    if tensor is not None:
                        kind[name] = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=CUDA)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("changes", [{}, {"lkrb": "text"}, {"offset_conv": False}, {"dynamic_kernel": 0}], ids=str)
def test_no_tensor_is_on_the_processor_and_nothing_asks(dtype: torch.dtype, changes: dict[str, Any]) -> None:
    config = msgspec.structs.replace(TINY, **changes)
    network = DeviceNetwork(lively(config), torch.device("cpu"), dtype)
    base_pq(torch.zeros(3, 1, 1), config.base)  # its matrices are numbers of the processor's, found once
    with FakeTensorMode(), torch.inference_mode():
        moved_there(network)
        window = torch.empty(config.frames, 3, 400, 24, device=CUDA)
        with NoQuestions(), StaysThere():
            whole = network.render(window)
            conditions = network.conditions(window)
            band = network.render_band(window, conditions, 200, 300)
    assert (whole.shape, whole.dtype, whole.device) == ((3, 400, 24), torch.float32, CUDA)
    assert (band.shape, band.dtype, band.device) == ((3, 100, 24), torch.float32, CUDA)


@pytest.mark.parametrize("model", ["dslnet", "dslnet-fast"])
def test_the_shipped_models_stay_there(model: str) -> None:
    shipped = weights.load_network(weights.read(weights.find(model)))
    shipped(torch.zeros(1, shipped.config.frames, 3, 16, 16))  # what is found once
    network = DeviceNetwork(shipped, torch.device("cpu"), torch.float16)
    with FakeTensorMode(), torch.inference_mode():
        moved_there(network)
        window = torch.empty(shipped.config.frames, 3, 530, 478, device=CUDA)
        with NoQuestions(), StaysThere():
            whole = network.render(window)
            band = network.render_band(window, network.conditions(window), 256, 512)
    assert (whole.shape, band.shape) == ((3, 530, 478), (3, 256, 478))


@pytest.mark.parametrize("form", ["torch-planes", "blocks"])
def test_every_form_of_depthwise_layers_stays_there(form: str) -> None:
    network = DeviceNetwork(lively(TINY), torch.device("cpu"), torch.float16)
    base_pq(torch.zeros(3, 1, 1), TINY.base)
    with FakeTensorMode(), torch.inference_mode():
        moved_there(network)
        for layer in network.layers_with_forms():
            layer.chosen = form if form in layer.forms else "torch"
        with NoQuestions(), StaysThere():
            assert network.render(torch.empty(TINY.frames, 3, 30, 25, device=CUDA)).shape == (3, 30, 25)


@pytest.mark.parametrize("size", [(20, 9), (1080, 1920)], ids=str)
def test_motion_and_foreign_frames_stay_there(size: tuple[int, int]) -> None:
    with FakeTensorMode(), torch.inference_mode():
        window = torch.empty(5, 3, *size, device=CUDA)
        with NoQuestions(), StaysThere():
            moved = compensated_on_device(without_foreign_frames_on_device(window))
    assert moved.shape == window.shape


def test_a_tensor_left_on_the_processor_is_found() -> None:
    with FakeTensorMode(), StaysThere(), pytest.raises(AssertionError, match="on the processor"):
        torch.ones(3, device=CUDA) * torch.ones(3).sum()

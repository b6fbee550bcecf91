"""Which form of each layer is the fastest on a device: measured on a first frame, once it has been seen to be right.

Forms agree to rounding, not to the bit, and two processes must not choose differently on one device: the picture is to
be a function of the clip. So forms stand in an order, and a later one is taken only where it is clearly faster.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from vsdslnet.inference.cuda.convolution import DeviceConv
from vsdslnet.inference.cuda.depthwise import DeviceDepthwise
from vsdslnet.inference.cuda.device import Device
from vsdslnet.inference.cuda.network import DeviceNetwork

__all__ = ["choose_forms"]

_log = logging.getLogger(__name__)

_CLEARLY = 0.85
"""A form is taken if it needs less than this part of the time of the one before it in order of preference."""
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far a form may be from PyTorch's, in root mean squares over that of the result."""


def choose_forms(network: DeviceNetwork, window: Tensor, device: Device) -> str:
    """Choose for all layers, with frames (2T+1, 3, h, w) on the device; returns what was measured, for a log."""
    said = []
    for layers, inputs in _seen(network, window):
        first = layers[0]
        times = _times(first, inputs, device, _TOLERANCE[network.dtype])
        order = sorted(times, key=lambda name: (not name.startswith("triton"), name == "torch"))
        chosen = order[0]
        for name in order[1:]:
            if times[name] < _CLEARLY * times[chosen]:
                chosen = name
        for layer in layers:
            layer.chosen = chosen  # type: ignore[assignment]
        if len(times) > 1:
            measured = ", ".join(f"{name} {seconds * 1000:.2f} ms" for name, seconds in times.items())
            said.append(f"{_name(first)} {chosen} ({measured})")
    return "; ".join(said)


def _seen(network: DeviceNetwork, window: Tensor) -> Iterator[tuple[list[nn.Module], tuple[Any, ...]]]:
    """Layers that are alike, and what one of them was given for this window."""
    alike: dict[object, list[nn.Module]] = {}
    given: dict[object, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def remember(layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        said = tuple(sorted((k, _kind(value)) for k, value in named.items()))
        key = (type(layer), _name(layer), tuple(inputs[0].shape), said)
        alike.setdefault(key, []).append(layer)
        given.setdefault(key, (inputs, named))

    hooks = [layer.register_forward_pre_hook(remember, with_kwargs=True) for layer in network.layers_with_forms()]
    try:
        network.render(window)
    finally:
        for hook in hooks:
            hook.remove()
    for key, layers in alike.items():
        yield layers, given[key]


def _times(layer: nn.Module, given: tuple[Any, ...], device: Device, tolerance: float) -> dict[str, float]:
    """Seconds of each form that works and agrees with PyTorch's."""
    inputs, named = given
    forms: nn.ModuleDict = layer.forms  # type: ignore[assignment]
    if len(forms) == 1:
        return dict.fromkeys(forms, 0.0)
    expected = forms["torch"](*inputs, **named)
    scale = float(expected.float().square().mean().sqrt())
    times = {}
    for name, form in forms.items():
        try:
            result = form(*inputs, **named)
            error = float((result.float() - expected.float()).square().mean().sqrt())
            if not error <= tolerance * scale:
                _log.warning("%s: %s differs from PyTorch's by %g, is not used", _name(layer), name, error / scale)
                continue
            times[name] = device.seconds(lambda form=form: form(*inputs, **named))  # type: ignore[misc]
        except Exception as error:  # whatever a compiler may raise: PyTorch's form is always there
            if name == "torch" or isinstance(error, torch.OutOfMemoryError):
                raise
            _log.warning("%s: %s does not work here: %s", _name(layer), name, str(error).splitlines()[:1])
    return times


def _kind(value: object) -> str:
    return str(value.dtype) if isinstance(value, Tensor) else str(value)


def _name(layer: nn.Module) -> str:
    if isinstance(layer, DeviceDepthwise):
        return f"depthwise {layer.kernel}x{layer.kernel}"
    if isinstance(layer, DeviceConv):
        return f"convolution {layer.shape}"
    return type(layer).__name__.removeprefix("Device").lower()

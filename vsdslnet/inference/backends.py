"""Chooses and builds the engine that settings ask for."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from vsdslnet import weights
from vsdslnet.errors import EngineError
from vsdslnet.inference.backend import Engine
from vsdslnet.inference.cpu.backend import TorchEngine
from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.inference.precision import automatic_precision, choose_precision
from vsdslnet.options import BackendOptions

__all__ = ["automatic_choice", "check_engine", "choose_device", "create_engine"]


def create_engine(settings: BackendOptions) -> Engine:
    """Load the model and build its engine; WeightsError or EngineError if that can't be done."""
    file = weights.read(weights.find(settings.model))
    device, dtype = _choose(settings, file.metadata)
    network = weights.load_network(file)
    return TorchEngine(network, target=Target(device, dtype), tile=settings.tile)


def check_engine(settings: BackendOptions) -> None:
    """WeightsError or EngineError if :func:`create_engine` would raise one, without the time it takes."""
    _choose(settings, weights.read(weights.find(settings.model)).metadata)


def automatic_choice(settings: BackendOptions) -> str:
    """What ``precision="auto"`` takes for these settings' model and device, and why; WeightsError or EngineError."""
    metadata = weights.read(weights.find(settings.model)).metadata
    device = choose_device(settings.device, settings.device_index)
    return f"precision auto is {automatic_precision(device, metadata)}"


def _choose(settings: BackendOptions, metadata: Mapping[str, str]) -> tuple[torch.device, torch.dtype]:
    device = choose_device(settings.device, settings.device_index)
    return device, choose_precision(settings.precision, device, metadata)


def choose_device(asked: str, index: int) -> torch.device:
    """ "auto" is CUDA where there is one; EngineError if the device asked for is not there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "cpu" or (asked == "auto" and not count):
        return torch.device("cpu")
    if index >= count:
        found = f"CUDA devices here: {count}" if count else "PyTorch sees no CUDA device here"
        raise EngineError(f"device='{asked}', device_index={index}: {found}; use a lower index, or device='cpu'")
    return torch.device("cuda", index)

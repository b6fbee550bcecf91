"""Chooses and builds the backend that settings ask for."""

from __future__ import annotations

import torch

from vsdslnet import weights
from vsdslnet.errors import BackendError
from vsdslnet.inference.backend import Backend
from vsdslnet.inference.cpu.backend import CpuBackend
from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.inference.cuda.backend import CudaBackend
from vsdslnet.inference.cuda.device import CudaDevice
from vsdslnet.inference.precision import automatic_precision, choose_precision
from vsdslnet.options import BackendOptions

__all__ = ["automatic_choice", "check_backend", "choose_backend", "choose_device", "create_backend", "frames_under_way"]

_DEVICE_FRAMES = 4


def create_backend(settings: BackendOptions) -> Backend:
    """Load the model and build its backend; WeightsError or BackendError if that can't be done."""
    file = weights.read(weights.find(settings.model))
    device, dtype = _choose(settings, file)
    network = weights.load_network(file)
    if device.type == "cuda":
        return CudaBackend(network, CudaDevice(device.index), dtype=dtype, tile=settings.tile)
    return CpuBackend(network, target=Target(device, dtype), tile=settings.tile)


def check_backend(settings: BackendOptions) -> None:
    """WeightsError or BackendError if :func:`create_backend` would raise one, without the time it takes."""
    _choose(settings, weights.read(weights.find(settings.model)))


def automatic_choice(settings: BackendOptions) -> str:
    """What ``precision="auto"`` takes for these settings' model and device, and why; WeightsError or BackendError."""
    file = weights.read(weights.find(settings.model))
    device = choose_device(settings.device, settings.device_index)
    return f"precision auto is {automatic_precision(device, file.metadata)}"


def _choose(settings: BackendOptions, file: weights.WeightsFile) -> tuple[torch.device, torch.dtype]:
    device = choose_device(settings.device, settings.device_index)
    return device, choose_precision(settings.precision, device, file.metadata)


def frames_under_way(settings: BackendOptions) -> int:
    """How many frames at once keep what these settings come to here busy; BackendError as :func:`choose_backend`.

    A device computes one while others are made, on their way there and back, and finished. A processor computes one.
    """
    device = choose_device(settings.device, settings.device_index)
    return _DEVICE_FRAMES if device.type == "cuda" else 1


def choose_backend(settings: BackendOptions) -> tuple[str, str]:
    """(kind of device, precision) that these settings come to here; WeightsError or BackendError."""
    device, dtype = _choose(settings, weights.read(weights.find(settings.model)))
    return device.type, str(dtype)


def choose_device(asked: str, index: int) -> torch.device:
    """ "auto" is CUDA where there is one; BackendError if the device asked for is not there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "cpu" or (asked == "auto" and not count):
        return torch.device("cpu")
    if index >= count:
        found = f"CUDA devices here: {count}" if count else _why_none()
        raise BackendError(f"device='{asked}', device_index={index}: {found}; use a lower index, or device='cpu'")
    return torch.device("cuda", index)


def _why_none() -> str:
    if torch.version.cuda is None:
        return "PyTorch sees no CUDA device here, and this build of it could not use one"
    return "PyTorch sees no CUDA device here"

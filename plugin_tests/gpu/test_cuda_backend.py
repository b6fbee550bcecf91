"""The CUDA backend on a device: the CPU's picture, in bands too, with frames under way, and errors of one line."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import msgspec
import pytest
import torch
from torch import Tensor

from plugin_tests.inference.networks import SMALL, lively, window
from vsdslnet import weights
from vsdslnet.errors import BackendError
from vsdslnet.inference.backends import choose_device
from vsdslnet.inference.cpu.backend import CpuBackend
from vsdslnet.inference.cuda import backend as backend_module
from vsdslnet.inference.cuda.backend import CudaBackend
from vsdslnet.inference.cuda.choice import choose_forms
from vsdslnet.inference.cuda.device import CudaDevice
from vsdslnet.inference.cuda.motion import choose_arithmetic
from vsdslnet.inference.cuda.network import DeviceNetwork
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion.arithmetic import DEVICE
from vsdslnet.network.motion.compensation import compensate_, compensated_on_device

CODES = 876.0
"""Codes of 10 bits from black to white."""
CUDA = torch.device("cuda", 0)
MOVING = msgspec.structs.replace(SMALL, motion_compensated=True)


def cuda(network: DSLNet, dtype: torch.dtype = torch.float32, **options: object) -> CudaBackend:
    return CudaBackend(network, CudaDevice(0), dtype=dtype, **options)  # type: ignore[arg-type]


def shipped() -> DSLNet:
    return weights.load_network(weights.read(weights.find("dslnet")))


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (270, 480)], ids=str)
@torch.inference_mode()
def test_fp32_gives_the_picture_of_the_cpu_to_a_thousandth_of_a_code(size: tuple[int, int]) -> None:
    network, frames = lively(), window(*size)
    error = (cuda(network)(frames) - network(frames[None])[0]).abs() * CODES
    print(f"fp32: {(error > 1e-3).float().mean():.5%} above a thousandth, most {error.max():.4f} codes of 10 bits")
    # Single pixels on a kink of the base's curve are further off, as they are between fp32 and fp32 on a processor.
    assert (error > 1e-3).float().mean() < 0.002
    assert error.max() <= 1e-2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_shipped_weights_in_half_precision_are_within_four_codes(dtype: torch.dtype) -> None:
    network = shipped()
    frames = window(180, 320, config=network.config)
    expected = CpuBackend(network)(frames.clone())
    error = (cuda(network, dtype)(frames) - expected).abs() * CODES
    print(f"{dtype}: mean {error.mean():.4f}, most {error.max():.3f} codes of 10 bits")
    assert error.max() <= 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@torch.inference_mode()
def test_every_form_of_every_layer_works_and_agrees(dtype: torch.dtype, caplog: pytest.LogCaptureFixture) -> None:
    network = DeviceNetwork(shipped(), CUDA, dtype)
    frames = window(270, 480, config=network.config).to(CUDA)
    with caplog.at_level(logging.WARNING), CudaDevice(0).arithmetic(exact=dtype == torch.float32):
        print(choose_forms(network, frames, CudaDevice(0)))
    assert not caplog.records, caplog.text


@pytest.mark.parametrize("size", [(180, 320), (270, 480), (1080, 1920)], ids=str)
@torch.inference_mode()
def test_motion_in_kernels_is_that_of_operators(size: tuple[int, int], caplog: pytest.LogCaptureFixture) -> None:
    still = window(*size, config=MOVING)[1]
    frames = torch.stack([still.roll(shift, dims=-1) for shift in (-2, 0, 2)]).to(CUDA)
    with caplog.at_level(logging.WARNING):
        fused = choose_arithmetic(frames)
    assert fused is not DEVICE
    assert not caplog.records, caplog.text
    error = (compensated_on_device(frames, fused) - compensated_on_device(frames)).abs()
    print(f"motion: mean {error.mean():.2e}, most {error.max():.2e}")
    assert error.mean() < 1e-5


@torch.inference_mode()
def test_motion_on_the_device_is_that_of_the_processor() -> None:
    still = window(180, 320, config=MOVING)[1]
    frames = torch.stack([still.roll(shift, dims=-1) for shift in (-2, 0, 2)])
    here, there = frames.clone(), compensated_on_device(frames.to(CUDA)).cpu()
    compensate_(here)
    assert (here - frames).abs().max() > 0.05
    assert (here - there).abs().mean() < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_bands_are_the_whole_frame(dtype: torch.dtype) -> None:
    network, frames = lively(), window(600, 64)
    whole = cuda(network, dtype)(frames)
    error = (cuda(network, dtype, tile=(64, 200))(frames) - whole).abs().max() * CODES
    assert error <= (1e-2 if dtype == torch.float32 else 1)


def test_the_work_is_a_graph_and_the_log_says_what_warmed_up(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger=backend_module.__name__):
        cuda(lively(MOVING), torch.float16)(window(64, 96, config=MOVING))
    print(caplog.text)
    assert "96x64 warmed up" in caplog.text
    assert "as a graph" in caplog.text


def test_frames_under_way_together_are_those_of_each_alone() -> None:
    backend = cuda(lively(MOVING), torch.float16)
    frames = [window(120, 160, config=MOVING, seed=seed) for seed in range(12)]
    alone = [backend(each) for each in frames]
    together: dict[int, Tensor] = {}
    threads = [threading.Thread(target=lambda k=k: together.update({k: backend(frames[k])})) for k in range(12)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(together[k], alone[k]) for k in range(12))


def test_two_backends_give_the_same_bits() -> None:
    network, frames = shipped(), window(270, 480, config=shipped().config)
    assert torch.equal(cuda(network, torch.float16)(frames), cuda(network, torch.float16)(frames))


@pytest.fixture
def little_memory() -> Iterator[int]:
    """Lets PyTorch have 600 MiB of the device; what other tests left is given back first."""
    bytes_there = torch.cuda.get_device_properties(0).total_memory
    CudaDevice(0).release()
    torch.cuda.set_per_process_memory_fraction((600 << 20) / bytes_there, 0)
    yield 600 << 20
    torch.cuda.set_per_process_memory_fraction(1.0, 0)
    CudaDevice(0).release()


def test_out_of_memory_falls_to_bands(little_memory: int, caplog: pytest.LogCaptureFixture) -> None:
    network, frames = shipped(), window(1080, 960, config=shipped().config)
    with caplog.at_level(logging.INFO, logger=backend_module.__name__):
        picture = cuda(network, torch.float16)(frames)
    assert "out of memory" in caplog.text
    assert picture.isfinite().all()
    assert torch.cuda.max_memory_reserved(0) <= little_memory


def test_out_of_memory_for_good_is_one_line(little_memory: int) -> None:
    frames = window(2160, 3840, config=shipped().config)
    with pytest.raises(BackendError, match="out of memory") as failure:
        cuda(shipped(), torch.float16)(frames)
    assert "\n" not in str(failure.value)


def test_an_index_beyond_the_devices_is_one_line() -> None:
    count = torch.cuda.device_count()
    with pytest.raises(BackendError, match=rf"device_index={count}: CUDA devices here: {count}"):
        choose_device("cuda", count)
    assert choose_device("auto", 0) == CUDA


LOST = """
import torch
from plugin_tests.inference.networks import lively, window
from vsdslnet.errors import BackendError
from vsdslnet.inference.cuda.device import CudaDevice
from vsdslnet.inference.cuda.backend import CudaBackend
backend = CudaBackend(lively(), CudaDevice(0), dtype=torch.float32)
backend(window(16, 16))
torch.zeros(1, device="cuda")[torch.full((1,), 5, device="cuda")]  # a kernel's assertion: nothing works after it
try:
    backend(window(16, 16))
except BackendError as error:
    print("LINE", repr(str(error)))
"""


def test_a_lost_device_is_one_line() -> None:
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=120, check=False)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("LINE")]
    assert "cuda:0 float32: " in line
    assert "\\n" not in line

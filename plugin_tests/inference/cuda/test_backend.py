"""The CUDA backend on a device that puts everything off: the fp32 CPU backend's picture, whatever is under way."""

from __future__ import annotations

import logging
import threading

import msgspec
import pytest
import torch
from torch import Tensor

from plugin_tests.inference.cuda.late_device import LateDevice
from plugin_tests.inference.networks import BLOCKS, SMALL, lively, window
from vsdslnet.errors import BackendError
from vsdslnet.inference.backend import is_out_of_memory
from vsdslnet.inference.cpu.backend import CpuBackend
from vsdslnet.inference.cuda import backend as backend_module
from vsdslnet.inference.cuda.backend import CudaBackend
from vsdslnet.network.dslnet import DSLNet

EXACT = 2.5e-5
TINY = msgspec.structs.replace(SMALL, features=8, kernel=9, dynamic_kernel=3)


def cuda(network: DSLNet, device: LateDevice | None = None, **options: object) -> CudaBackend:
    return CudaBackend(network, device or LateDevice(), **({"dtype": torch.float32} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 47), (40, 64)], ids=str)
def test_gives_the_picture_of_the_cpu_backend(size: tuple[int, int]) -> None:
    network, frames = lively(TINY), window(*size, config=TINY)
    expected = CpuBackend(network)(frames.clone())
    assert (cuda(network)(frames) - expected).abs().max() <= EXACT


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel": 17},
        {"lkrb": "text"},
        {"offset_conv": False},
        {"dynamic_kernel": 0},
        {"base": "none", "gain_radius": 0},
        {"radius": 2},
        {"radius": 0},
        {"condition_pixels": 0, "gain_radius": 0},
        {"black_anchor": 0.0},
        {"gain_radius": 0},
        {"norm": "batch"},
        {"norm": "instance"},
        {"motion_compensated": True},
        {"scale": 2},
        {"scale": 4, "color_map": True, "deform_kernel": 1},
    ],
    ids=str,
)
def test_takes_every_network_that_the_cpu_backend_takes(changes: dict[str, object]) -> None:
    config = msgspec.structs.replace(TINY, **changes)
    network, frames = lively(config), window(40, 37, config=config)
    expected = CpuBackend(network)(frames.clone())
    assert (cuda(network)(frames) - expected).abs().max() <= EXACT


@pytest.mark.parametrize(("dtype", "most"), [(torch.float16, 0.003), (torch.bfloat16, 0.02)], ids=str)
def test_half_precision_stays_close_and_is_no_fp32(dtype: torch.dtype, most: float) -> None:
    network, frames = lively(TINY), window(40, 64, config=TINY)
    picture = cuda(network, dtype=dtype)(frames)
    error = (picture - CpuBackend(network)(frames.clone())).abs()
    assert picture.dtype == torch.float32
    assert 0 < error.mean() < most / 5
    assert error.max() < most


def test_the_window_is_left_alone() -> None:
    config = msgspec.structs.replace(TINY, motion_compensated=True)
    frames = window(40, 48, config=config)
    before = frames.clone()
    cuda(lively(config))(frames)
    assert torch.equal(frames, before)


def test_frames_under_way_together_are_the_frames_of_each_alone() -> None:
    network = lively(TINY)
    backend = cuda(network)
    frames = [window(24, 32, config=TINY, seed=seed) for seed in range(8)]
    expected = [CpuBackend(network)(each.clone()) for each in frames]
    given: dict[int, Tensor] = {}
    threads = [threading.Thread(target=lambda k=k: given.update({k: backend(frames[k])})) for k in range(8)]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(float((given[k] - expected[k]).abs().max()) for k in range(8)) <= EXACT


def test_the_same_window_gives_the_same_bits_whatever_came_between() -> None:
    backend = cuda(lively(TINY))
    frames, others = window(24, 32, config=TINY), window(40, 16, config=TINY, seed=5)
    first = backend(frames).clone()
    for each in (others, frames.flip(0), others.flip(-1)):
        backend(each)
    assert torch.equal(backend(frames), first)


def test_a_size_is_warmed_up_once_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    device = LateDevice()
    backend = cuda(lively(TINY), device)
    with caplog.at_level(logging.INFO, logger=backend_module.__name__):
        for seed in range(3):
            backend(window(16, 24, config=TINY, seed=seed))
        backend(window(24, 16, config=TINY))
    said = [record.message for record in caplog.records if "warmed up" in record.message]
    assert [line.split("float32: ")[1].split()[0] for line in said] == ["24x16", "16x24"]
    assert all("as a graph" in line for line in said)
    assert device.captures == 2


def test_windows_in_memory_of_the_backends_are_read_from_there() -> None:
    device, config = LateDevice(), msgspec.structs.replace(TINY, motion_compensated=True)
    network = lively(config)
    backend = cuda(network, device)
    frames = window(24, 32, config=config)
    expected = CpuBackend(network)(frames.clone())
    mine = backend.window_memory(tuple(frames.shape)).copy_(frames)
    for _ in range(3):
        assert (backend(mine) - expected).abs().max() <= EXACT
    assert torch.equal(mine, frames)
    # One for the window, and one each for the pictures, which their callers keep.
    assert device.pinned_blocks == 1 + 3
    assert (backend(frames) - expected).abs().max() <= EXACT


def test_without_graphs_the_picture_is_the_same(caplog: pytest.LogCaptureFixture) -> None:
    network, frames = lively(TINY), window(24, 32, config=TINY)
    expected = CpuBackend(network)(frames.clone())
    with caplog.at_level(logging.INFO, logger=backend_module.__name__):
        given = cuda(network, LateDevice(graphs=False))(frames)
    assert (given - expected).abs().max() <= EXACT
    assert "without a graph (operation not permitted when stream is capturing)" in caplog.text


@pytest.mark.parametrize("tile", [(64, 64), (300, 96), (64, 500)], ids=str)
def test_bands_leave_no_seam(tile: tuple[int, int]) -> None:
    network, frames = lively(TINY), window(300, 24, config=TINY)
    whole = cuda(network)(frames)
    assert (cuda(network, tile=tile)(frames) - whole).abs().max() <= EXACT


@pytest.mark.parametrize("tile", [(64, 64), (300, 96)], ids=str)
def test_bands_of_blocks_leave_no_seam(tile: tuple[int, int]) -> None:
    """The last block is half outside the frame, in the whole as in the bands."""
    network, frames = lively(BLOCKS), window(302, 27, config=BLOCKS)
    expected = CpuBackend(network)(frames.clone())
    assert (cuda(network, tile=tile)(frames) - expected).abs().max() <= EXACT


def test_little_free_memory_means_bands(caplog: pytest.LogCaptureFixture) -> None:
    network, frames = lively(TINY), window(600, 16, config=TINY)
    expected = cuda(network)(frames)
    with caplog.at_level(logging.INFO, logger=backend_module.__name__):
        given = cuda(network, LateDevice(free=1_800_000))(frames)
    assert "bands: 1," not in caplog.text
    assert (given - expected).abs().max() <= EXACT


class Starving:
    """A network that is out of memory while its frames have too many rows."""

    def __init__(self, real: object, most_rows: int) -> None:
        self._real, self._most_rows = real, most_rows

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def _refuse(self, rows: int) -> None:
        if rows > self._most_rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee documentation")

    def render(self, frames: Tensor) -> Tensor:
        self._refuse(frames.shape[-2])
        return self._real.render(frames)  # type: ignore[attr-defined,no-any-return]

    def render_band(self, frames: Tensor, conditions: object, top: int, bottom: int) -> Tensor:
        self._refuse(bottom - top)
        return self._real.render_band(frames, conditions, top, bottom)  # type: ignore[attr-defined,no-any-return]


def test_out_of_memory_falls_to_bands(caplog: pytest.LogCaptureFixture) -> None:
    network, frames = lively(TINY), window(400, 16, config=TINY)
    backend, device = cuda(network), LateDevice()
    expected = backend(frames)
    hungry = cuda(network, device)
    hungry._network = Starving(hungry._network, most_rows=120)  # type: ignore[assignment]
    with caplog.at_level(logging.INFO, logger=backend_module.__name__):
        given = hungry(frames)
    assert (given - expected).abs().max() <= EXACT
    assert "warmed up" in caplog.text
    assert "bands: 4, as a graph" in caplog.text
    assert device.released >= 2


def test_out_of_memory_in_the_smallest_bands_is_one_line_with_the_cure() -> None:
    backend = cuda(lively(TINY))
    backend._network = Starving(backend._network, most_rows=0)  # type: ignore[assignment]
    with pytest.raises(BackendError, match=r"^torch cpu float32: out of memory: CUDA out of memory.*smaller size$"):
        backend(window(16, 16, config=TINY))
    backend._network = backend._network._real  # type: ignore[attr-defined]
    assert backend(window(16, 16, config=TINY)).isfinite().all()


def test_a_lost_device_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = cuda(lively(TINY))
    backend(window(16, 16, config=TINY))

    def lost(*_: object) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later\n")

    monkeypatch.setattr(backend._computing, "submit", lost)
    with pytest.raises(BackendError, match=r"^torch cpu float32: CUDA error: unspecified launch failure$"):
        backend(window(16, 16, config=TINY))
    assert not is_out_of_memory(RuntimeError("CUDA error: unspecified launch failure"))


def test_only_the_last_sizes_are_kept() -> None:
    backend = cuda(lively(TINY))
    for height in (8, 16, 24, 32):
        backend(window(height, 16, config=TINY))
    assert [shape[-2] for shape in backend._ready] == [24, 32]

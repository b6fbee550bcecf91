"""The streamed backend against the plain network: the same picture, whatever the size and the tiles."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest
import torch

from plugin_tests.inference.networks import BLOCKS, SMALL, lively, window
from vsdslnet.errors import BackendError
from vsdslnet.inference.backend import is_out_of_memory
from vsdslnet.inference.cpu import graph
from vsdslnet.inference.cpu.backend import CpuBackend
from vsdslnet.inference.cpu.graph import StripGraph
from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.inference.cpu.strip_network import halo_blocks
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.frame_blend import evidence_feature_channels
from vsdslnet.network.motion.compensation import compensated

EXACT = 2.5e-5
SIZES = [(1, 1), (1, 90), (90, 1), (2, 2), (7, 5), (33, 47), (64, 64), (131, 30), (30, 301), (97, 96)]


@torch.inference_mode()
def plain(network: torch.nn.Module, frames: torch.Tensor) -> torch.Tensor:
    return network(frames[None])[0]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_the_plain_network_at_any_size(size: tuple[int, int]) -> None:
    network, frames = lively(), window(*size)
    expected = plain(network, frames)
    assert (CpuBackend(network)(frames) - expected).abs().max() <= EXACT


@pytest.mark.parametrize("tile", [(64, 64), (100, 66), (130, 500)], ids=str)
def test_tiles_leave_no_seam(tile: tuple[int, int]) -> None:
    network, frames = lively(), window(150, 420)
    expected = plain(network, frames)
    assert (CpuBackend(network, tile=tile)(frames) - expected).abs().max() <= EXACT


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_the_plain_network_on_blocks_of_pixels_at_any_size(size: tuple[int, int]) -> None:
    network, frames = lively(BLOCKS), window(*size, config=BLOCKS)
    assert (CpuBackend(network)(frames) - plain(network, frames)).abs().max() <= EXACT


@pytest.mark.parametrize("tile", [(64, 64), (100, 66), (130, 500)], ids=str)
def test_tiles_of_blocks_leave_no_seam(tile: tuple[int, int]) -> None:
    network, frames = lively(BLOCKS), window(131, 421, config=BLOCKS)
    expected = plain(network, frames)
    assert (CpuBackend(network, tile=tile)(frames) - expected).abs().max() <= EXACT
    bands = CpuBackend(network, tile=tile).tiling(width=421, height=131).bands
    assert bands[-1][1] == 106  # blocks


@pytest.mark.parametrize("config", [SMALL, BLOCKS], ids=["pixels", "blocks"])
@torch.inference_mode()
def test_the_halo_is_as_wide_as_layers_reach(config: DSLNetConfig) -> None:
    """Every weight 1 and every bias 0: what starts in the first column is not 0 wherever it reaches."""
    network = lively(config).double()
    for name, parameter in network.named_parameters():
        parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    ldoe, columns = network.dmfa.ldoe, 200
    frames = torch.zeros(1, 3 * config.frames, 2 * config.scale, columns * config.scale, dtype=torch.float64)
    frames[..., : config.scale] = 1
    side = config.dynamic_kernel
    kernels = torch.ones(1, config.features, side, side, dtype=torch.float64) if side else None
    offsets = ldoe.offsets(ldoe.encode(frames), kernels, (2, columns))
    features = torch.zeros(1, config.features, 2, columns, dtype=torch.float64)
    features[..., 0] = 1
    # What blocks show is of each by itself.
    beside = torch.zeros(1, evidence_feature_channels(config), 2, columns, dtype=torch.float64)
    said = network.head(network.lkqe(torch.cat([network.stfm.residual(features), beside], dim=1)))
    window = torch.ones(1, config.frames, 3, *frames.shape[-2:], dtype=torch.float64)
    pixels = network.pixels_of(said, window, network.evidence(window))[1]
    reach = [int(layer.any(dim=1)[0].any(dim=0).nonzero().max()) for layer in (offsets, pixels)]
    assert 0 <= halo_blocks(config) - (reach[0] + reach[1] // config.scale) <= 2


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": 2},
        {"color_map": True},
        {"frame_blend": True},
        {"scale": 2, "frame_blend": True},
        {"chain": 1},
        {"deform_kernel": 1},
        {"scale": 4, "kernel": 9, "color_map": True},
        {"lkrb": "text"},
        {"offset_conv": False},
        {"dynamic_kernel": 0},
        {"base": "none", "gain_radius": 0},
        {"radius": 2},
        {"condition_pixels": 0, "gain_radius": 0},
        {"black_anchor": 0.0},
        {"gain_radius": 0},
    ],
    ids=str,
)
def test_follows_every_reading_a_config_can_ask_for(changes: dict[str, object]) -> None:
    config = msgspec.structs.replace(SMALL, **changes)
    network, frames = lively(config), window(70, 61, config=config)
    assert (CpuBackend(network)(frames) - plain(network, frames)).abs().max() <= EXACT


@pytest.mark.parametrize("blocks", [True, False])
def test_large_kernels_give_the_plain_picture_in_either_form(blocks: bool) -> None:
    network, frames = lively(), window(71, 83)
    target = Target(torch.device("cpu"), torch.float32)
    target.blocks_pay = blocks
    assert (CpuBackend(network, target=target)(frames) - plain(network, frames)).abs().max() <= EXACT


def test_the_test_networks_correct_and_move_enough_to_notice() -> None:
    network, frames = lively(), window(64, 64)
    stacked = frames[None].flatten(1, 2)
    with torch.inference_mode():
        encoded = network.dmfa.ldoe.encode(stacked)
        offsets = network.dmfa.ldoe.offsets(encoded, network.dmfa.ldoe.kernels(encoded), (64, 64))
        base = network.compose(frames[None, SMALL.radius], torch.zeros(1, 3, 64, 64))[0]
    assert offsets.std() > 1
    assert (plain(network, frames) - base).abs().mean() > 0.005


def test_bf16_stays_close_to_fp32() -> None:
    network, frames = lively(), window(80, 112)
    expected = plain(network, frames)
    result = CpuBackend(network, target=Target(torch.device("cpu"), torch.bfloat16))(frames)
    assert result.dtype == torch.float32
    assert 0 < (result - expected).abs().mean() < 2e-3


def test_bf16_sees_no_motion_where_nothing_moves() -> None:
    network, still = lively(), window(40, 48)[:1].expand(SMALL.frames, -1, -1, -1)
    stem = network.dmfa.ldoe.stem
    kernels = stem.weight.view(-1, SMALL.frames, 3, 3, 3)
    kernels[:, SMALL.radius] -= kernels.sum(dim=1)
    stem.bias.zero_()  # type: ignore[union-attr]
    backend = CpuBackend(network, target=Target(torch.device("cpu"), torch.bfloat16))
    spans = StripGraph(40, 16).spans
    features = torch.cat([backend._streamed._stem.strip(still, span) for span in spans], dim=-2)
    assert features.shape == (1, SMALL.features, 20, 24)
    assert features.abs().max() < 1e-5


def test_threads_at_once_get_what_one_gets() -> None:
    backend = CpuBackend(lively())
    frames = [window(60, 70, seed=seed) for seed in range(4)]
    alone = [backend(each) for each in frames]
    together: dict[int, torch.Tensor] = {}

    def run(index: int) -> None:
        together[index] = backend(frames[index])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((together[i] - alone[i]).abs().max() <= 1e-6 for i in range(4))


def test_leaves_the_window_alone() -> None:
    frames = window(40, 40)
    before = frames.clone()
    CpuBackend(lively())(frames)
    assert torch.equal(frames, before)


class Starved:
    """A streamed network that runs out of memory until the strips are small enough."""

    def __init__(self, real: object, largest_rows: int) -> None:
        self.real, self.largest_rows, self.refused = real, largest_rows, 0
        self.config = real.config  # type: ignore[attr-defined]

    def conditions(self, frames: torch.Tensor, rows: int) -> object:
        if rows > self.largest_rows:
            self.refused += 1
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return self.real.conditions(frames, rows)  # type: ignore[attr-defined]

    def render(self, *arguments: object) -> None:
        self.real.render(*arguments)  # type: ignore[attr-defined]


def test_out_of_memory_falls_to_smaller_strips() -> None:
    network, frames = lively(), window(60, 70)
    backend = CpuBackend(network)
    starved = Starved(backend._streamed, largest_rows=8)
    backend._streamed = starved  # type: ignore[assignment]
    assert (backend(frames) - plain(network, frames)).abs().max() <= EXACT
    assert starved.refused > 0


def test_out_of_memory_at_the_smallest_size_says_what_to_do() -> None:
    backend = CpuBackend(lively())
    backend._streamed = Starved(backend._streamed, largest_rows=0)  # type: ignore[assignment]
    with pytest.raises(BackendError, match=r"out of memory for a 300x40 frame.*smaller"):
        backend(window(40, 300))


def test_other_failures_are_not_taken_for_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = CpuBackend(lively())

    def broken(*_: object) -> None:
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(backend._streamed, "render", broken)
    with pytest.raises(BackendError, match="could not create a primitive"):
        backend(window(20, 20))
    assert not is_out_of_memory(RuntimeError("could not create a primitive"))


def test_neighbours_are_moved_onto_the_centre_first() -> None:
    network, still = lively(msgspec.structs.replace(SMALL, motion_compensated=True)), window(48, 64)
    frames = torch.stack([still[1].roll(shift, dims=-1) for shift in (-2, 0, 2)])
    expected = plain(network, compensated(frames[None])[0])
    assert (expected - plain(network, frames)).abs().max() > 0.01
    assert (CpuBackend(network)(frames.clone()) - expected).abs().max() <= EXACT


@pytest.mark.parametrize("config", [msgspec.structs.replace(SMALL, frame_blend=True), BLOCKS], ids=["pixels", "blocks"])
def test_strips_in_memory_do_not_grow_with_the_frame(config: DSLNetConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer computed long before it is read, or long after what is read with it, would keep all of a frame."""
    alive: list[int] = []
    finish = graph._Run._finish

    def counted(run: graph._Run, *done: Any) -> None:
        finish(run, *done)
        alive.append(len(run._strips))

    monkeypatch.setattr(graph._Run, "_finish", counted)
    # Several threads finish strips in an order that differs by some.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    most = []
    for strips in (48, 80):
        backend = CpuBackend(lively(config), tile=(64, 8 * config.scale))
        alive.clear()
        backend(window(8 * strips * config.scale, 16 * config.scale, config=config))
        most.append(max(alive))
    torch.set_num_threads(threads)
    assert most[1] == most[0]

"""Blocks of pixels: a network of a scale sees every pixel, at any size, and writes each one back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vsdslnet.color.sdr_to_hdr import bt2446a_pq
from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dmfa import DeformableConv
from vsdslnet.network.dslnet import DSLNet, mapped_colors
from vsdslnet.network.pixel_blocks import block_count, shuffled, unshuffled, whole_blocks
from vsdslnet.training.paper.variants import build_variant

FAST: dict[str, Any] = {
    "scale": 4,
    "features": 8,
    "kernel": 5,
    "chain": 2,
    "dynamic_kernel": 0,
    "deform_kernel": 1,
    "color_map": True,
    "condition_pixels": 1024,
    "base": "bt2446a",
}


def fast(**changes: Any) -> DSLNet:
    """A small network on blocks whose every parameter is random."""
    torch.manual_seed(1)
    network = DSLNet(DSLNetConfig(**(FAST | changes))).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith(("head", "dmfa.ldoe.offset")):
                parameter.normal_(std=0.02)
    return network


def window_of(height: int, width: int, samples: int = 1) -> Tensor:
    torch.manual_seed(7)
    return torch.rand(samples, 5, 3, height, width)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 23), width=st.integers(1, 23), scale=st.integers(1, 8))
def test_whole_blocks_keep_the_frame_and_repeat_its_border(height: int, width: int, scale: int) -> None:
    frames = torch.rand(1, 2, 3, height, width)
    whole = whole_blocks(frames, scale)
    assert whole.shape[-2:] == (scale * block_count(height, scale), scale * block_count(width, scale))
    assert torch.equal(whole[..., :height, :width], frames)
    assert torch.equal(whole[..., height:, :width], frames[..., -1:, :].expand_as(whole[..., height:, :width]))
    assert torch.equal(whole[..., width:], whole[..., width - 1 : width].expand_as(whole[..., width:]))
    blocks = unshuffled(whole[0], scale)
    assert blocks.shape == (2, 3 * scale**2, *(side // scale for side in whole.shape[-2:]))
    assert torch.equal(shuffled(blocks, scale), whole[0])


@pytest.mark.parametrize("kernel", [1, 3])
def test_without_offsets_a_deformable_conv_is_one_over_blocks(kernel: int) -> None:
    conv = DeformableConv(2, 5, kernel=kernel, scale=4)
    frames = torch.rand(2, 6, 16, 24)
    ordinary = F.conv2d(unshuffled(frames, 4), conv.weight, conv.bias, padding=kernel // 2)
    with torch.no_grad():
        still = conv(frames, torch.zeros(2, 2 * kernel**2 * 2, 4, 6))
    assert (still - ordinary).abs().max() < 1e-5


def test_an_offset_moves_a_block_by_pixels() -> None:
    conv = DeformableConv(1, 5, kernel=1, scale=4)
    frames = torch.rand(1, 3, 24, 24)
    offsets = torch.zeros(1, 2, 6, 6)
    offsets[:, 1] = 3  # x
    with torch.no_grad():
        aligned = conv(frames.roll(3, dims=-1), offsets)
        expected = conv(frames, torch.zeros(1, 2, 6, 6))
    assert (aligned - expected)[..., :-1].abs().max() < 1e-5


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 90), (5, 2), (33, 47), (40, 64)], ids=str)
def test_untrained_is_exactly_the_base_at_any_size(scale: int, size: tuple[int, int]) -> None:
    network = DSLNet(DSLNetConfig(**(FAST | {"scale": scale}))).eval()
    window = window_of(*size)
    with torch.no_grad():
        assert torch.equal(network(window), bt2446a_pq(window[:, 2]))


@pytest.mark.parametrize("changes", [{}, {"color_map": False}, {"deform_kernel": 3}, {"dynamic_kernel": 3}], ids=str)
def test_every_reading_runs_and_trains(changes: dict[str, Any]) -> None:
    network = fast(**changes).train()
    pq = network(window_of(35, 50, samples=2))
    assert pq.shape == (2, 3, 35, 50)
    pq.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_every_pixel_of_every_frame_is_seen_and_written() -> None:
    network, window = fast(), window_of(12, 12)
    with torch.no_grad():
        before = network(window)
        for frame, row, column in [(0, 0, 0), (1, 5, 7), (3, 11, 2), (4, 6, 11)]:
            changed = window.clone()
            changed[:, frame, :, row, column] = 1 - changed[:, frame, :, row, column]
            assert not torch.equal(network(changed), before)
        # The correction differs from pixel to pixel of an even block.
        even = torch.full((1, 5, 3, 12, 12), 0.5)
        assert network(even)[0, 0, 4:8, 4:8].std() > 1e-4


def test_black_stays_black_whatever_the_weights() -> None:
    window = window_of(32, 32)
    window[..., 9:23, 9:23] = 0
    with torch.no_grad():
        pq = fast()(window)
    assert torch.equal(pq[..., 9:23, 9:23], torch.zeros(1, 3, 14, 14))


def test_a_tile_of_whole_blocks_equals_the_same_place_of_the_whole() -> None:
    network, halo, side = fast(), 96, 32
    window = window_of(160, 320)
    top, left = 64, 128
    outer = (slice(max(0, top - halo), top + side + halo), slice(left - halo, left + side + halo))
    with torch.no_grad():
        conditions = network.conditions(window)
        whole = network.render(window, conditions)
        first, last = outer[0].start, min(160, outer[0].stop)
        box = (outer[1].start / 320, first / 160, outer[1].stop / 320, last / 160)
        tile = network.render(window[..., first:last, outer[1]], conditions, [box])
    got = tile[..., top - first :, halo:][..., :side, :side]
    assert (got - whole[..., top : top + side, left : left + side]).abs().max() < 5e-5


def test_a_color_map_is_a_matrix_and_an_offset_at_each_pixel() -> None:
    matrix, offset = torch.rand(3, 3), torch.rand(3)
    maps = torch.cat([matrix, offset[:, None]], dim=1).view(1, 12, 1, 1).expand(-1, -1, 6, 7)
    sdr = torch.rand(1, 3, 6, 7)
    expected = torch.einsum("oc,nchw->nohw", matrix, sdr) + offset.view(1, 3, 1, 1)
    assert torch.allclose(mapped_colors(maps, sdr), expected, atol=1e-6)


def test_maps_change_smoothly_from_block_to_block() -> None:
    """Between the middles of two blocks a correction made of maps alone goes in a straight line."""
    network = fast()
    with torch.no_grad():
        network.head.weight[: 3 * 16] = 0
        network.head.bias[: 3 * 16] = 0  # type: ignore[index]
        said = torch.zeros(1, 48 + 12, 1, 2)
        said[0, 48 + 3, 0] = torch.tensor([0.0, 0.8])  # what is added to red
        line = network.pixels_of(said, torch.rand(1, network.config.frames, 3, 4, 8), None)[1][0, 0, 0]
    assert torch.allclose(line, torch.tensor([0, 0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.8]), atol=1e-6)


def test_other_networks_refuse_blocks() -> None:
    for name in ("m5", "resnet"):
        with pytest.raises(ArgumentError, match="scale"):
            build_variant(name, DSLNetConfig(**FAST))


def test_modules_keep_the_papers_names() -> None:
    def modules(network: nn.Module) -> set[str]:
        return {name for name, _ in network.named_modules()}

    assert modules(fast(chain=4, dynamic_kernel=3)) == modules(DSLNet())

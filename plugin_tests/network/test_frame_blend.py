"""Frames blended block by block: identity without weights, less noise with them, black black."""

from __future__ import annotations

import math

import msgspec
import pytest
import torch
import torch.nn.functional as F

from vsdslnet.color.primaries import luminance_of
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet, coarse_channels
from vsdslnet.network.frame_blend import (
    blended,
    block_evidence,
    evidence_feature_channels,
    evidence_features,
)

CONFIG = DSLNetConfig(
    radius=1, scale=4, features=8, kernel=5, chain=1, dynamic_kernel=0, deform_kernel=1, frame_blend=True
)


def window(noise: float = 0.05) -> torch.Tensor:
    """One flat grey in three frames, each with noise of its own."""
    generator = torch.Generator().manual_seed(0)
    return (0.5 + noise * torch.randn((1, 3, 3, 32, 48), generator=generator)).clamp(0, 1)


def said(weights: torch.Tensor, tolerance: float = 4.0) -> torch.Tensor:
    """Weights (1, 3, 32, 48) and the logarithm of a tolerance."""
    return torch.cat([weights, torch.full_like(weights[:, :1], tolerance)], dim=1)


def test_without_weights_the_centre_frame_stays() -> None:
    frames = window()
    smooth = torch.zeros(1, 3, 32, 48)
    assert torch.equal(blended(said(torch.zeros(1, 3, 32, 48)), smooth, frames, anchor=0.01), frames[:, 1])


def test_equal_shares_of_all_frames_are_their_mean() -> None:
    frames, weights = window(), torch.zeros(1, 3, 32, 48)
    weights[:, ::2] = 1 / 3
    assert torch.allclose(blended(said(weights), frames[:, 1], frames, anchor=0.01), frames.mean(dim=1), atol=5e-4)


def test_the_centres_weight_takes_what_is_smooth() -> None:
    frames, weights = window(), torch.zeros(1, 3, 32, 48)
    weights[:, 1] = 1
    smooth = torch.full((1, 3, 32, 48), 0.25)
    assert torch.allclose(blended(said(weights), smooth, frames, anchor=0.01), smooth)


def test_black_stays_black_beside_light() -> None:
    frames, weights = window(), torch.ones(1, 3, 32, 48)
    frames[:, 1, :, :8] = 0
    assert not blended(said(weights), torch.ones(1, 3, 32, 48), frames, anchor=0.01)[..., :8, :].any()


def test_a_frame_that_shows_something_else_is_not_believed() -> None:
    """Small differences count, large ones hardly: a ghost is smaller than the tolerance."""
    frames, weights = window(0), torch.zeros(1, 3, 32, 48)
    weights[:, 0] = 1
    moved = []
    for apart in (0.01, 0.5):
        frames[:, 0] = frames[:, 1] + apart
        moved.append(float((blended(said(weights, -1.0), frames[:, 1], frames, anchor=0.01) - frames[:, 1]).mean()))
    assert 0.009 < moved[0] < 0.01
    assert moved[1] < 0.01


@pytest.mark.parametrize(("apart", "share"), [(0.002, 1.0), (0.02, 0.5), (0.2, 0.0)])
def test_a_frame_whose_block_differs_by_more_than_noise_is_not_believed(apart: float, share: float) -> None:
    """Half of a frame is believed where its block's root mean square difference is the tolerance."""
    frames, weights = window(0), torch.zeros(1, 3, 32, 48)
    weights[:, 0] = 1
    frames[:, 0] = frames[:, 1] + apart
    evidence = F.interpolate(block_evidence(frames, 4)[:, :5], scale_factor=4)
    tolerances = torch.cat([said(weights), torch.zeros(1, 1, 32, 48)], dim=1)
    moved = blended(tolerances, evidence, frames, anchor=0.01) - frames[:, 1]
    assert float(moved.mean()) / apart == pytest.approx(share, abs=2e-3)


def test_evidence_is_that_of_blocks() -> None:
    frames = window()
    means = frames[:, 1].view(1, 3, 8, 4, 12, 4).mean(dim=(3, 5))
    grey = luminance_of(frames.flatten(0, 1)).view(3, 8, 4, 12, 4)
    apart = [(grey[k] - grey[1]).square().mean(dim=(1, 3)) for k in (0, 2)]
    varied = grey[1].var(dim=(1, 3), correction=0)
    expected = torch.cat([means, torch.stack([*apart, varied])[None]], dim=1)
    assert torch.allclose(block_evidence(frames, 4), expected, atol=1e-6)


def test_features_are_logarithms_of_what_blocks_show() -> None:
    frames = window(0)
    frames[:, 0] += 0.1
    frames[:, 1, :, ::2] += 0.02
    told = evidence_features(block_evidence(frames, 4))
    assert told.shape == (1, 3, 8, 12)
    quantum = 0.5 / 255
    deviations = [(0.5 * 0.08**2 + 0.5 * 0.1**2), 0.5 * 0.02**2, 0.01**2]
    expected = torch.tensor([0.5 * math.log(square + quantum**2) + 4 for square in deviations])
    assert torch.allclose(told, expected.view(1, 3, 1, 1).expand_as(told), atol=1e-2)


def test_a_network_on_pixels_is_told_nothing() -> None:
    assert evidence_feature_channels(CONFIG) == 3
    assert evidence_feature_channels(msgspec.structs.replace(CONFIG, scale=1)) == 0
    assert evidence_feature_channels(msgspec.structs.replace(CONFIG, frame_blend=False)) == 0


@pytest.mark.parametrize("scale", [1, 4])
def test_a_window_of_one_frame_is_smoothed_at_most(scale: int) -> None:
    network = DSLNet(msgspec.structs.replace(CONFIG, radius=0, scale=scale)).requires_grad_(False)
    assert network(window()[:, :1]).shape == (1, 3, 32, 48)


def test_a_block_of_one_pixel_shows_itself() -> None:
    frames = window()
    assert torch.equal(block_evidence(frames, 1), frames[:, 1])


@pytest.mark.parametrize("scale", [1, 4])
def test_a_head_that_believes_the_other_frames_takes_noise_away(scale: int) -> None:
    config = msgspec.structs.replace(CONFIG, scale=scale)
    network = DSLNet(config).requires_grad_(False)
    frames, still = window(), window(noise=0)
    untrained, clean = network(frames), network(still)
    bias = network.head.bias
    assert bias is not None
    bias[-coarse_channels(config) :] = torch.tensor([1 / 3, 1 / 3, 1 / 3, 4.0, 4.0][: coarse_channels(config)])
    left = [(picture - clean).std() for picture in (untrained, network(frames))]
    assert left[1] < 0.7 * left[0]
    assert torch.allclose(network(still), clean, atol=1e-5)

"""Restoration: its target is the clean frame's, and what the tone stage learnt stays as it was."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from plugin_tests.training.dataset.small_datasets import write_dataset
from vsdslnet import weights
from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.config.run import LossConfig, OptimiserConfig, TrainConfig
from vsdslnet.training.dataset.batches import draw_batch
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.loop.log_plots import read_log
from vsdslnet.training.loop.objective import Objective
from vsdslnet.training.loop.run import train
from vsdslnet.training.paper.variants import build_variant
from vsdslnet.training.pointwise.restoration import CleanBase, PointwiseTeacher
from vsdslnet.training.simulation.synthetic import saturated_shapes

SMALL = DSLNetConfig(features=8, kernel=5, chain=1, dynamic_kernel=3)
CONFIG = TrainConfig(
    network=SMALL,
    loss=LossConfig(l1=0.1, itp=0, restore=1, shapes=1, steady=0, ramp=0, guard_every=2),
    optimiser=OptimiserConfig(rate=2e-3, warmup_steps=2, condition_rate=0),
    steps=6,
    batch=4,
    patch_px=32,
    noise_share=1.0,
    noise_code=(10.0, 20.0),
    precision="no",
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> WindowDataset:
    return WindowDataset(write_dataset(tmp_path_factory.mktemp("restoration") / "dataset"))


def spatial_network(seed: int = 3, config: DSLNetConfig = SMALL) -> DSLNet:
    torch.manual_seed(seed)
    network = DSLNet(config)
    nn.init.normal_(network.head.weight, std=0.02)
    return network


def test_the_teacher_says_of_a_flat_frame_what_the_network_says() -> None:
    network, size = spatial_network(), 96
    colors = torch.rand(3, 3)
    flat = colors[:, None, :, None, None].expand(-1, 5, -1, size, size)
    boxes = [(0.0, 0.0, 1.0, 1.0)] * 3
    with torch.no_grad():
        whole = network(flat)
    middle = (..., size // 2, size // 2)
    assert torch.allclose(PointwiseTeacher(network)(flat[:, 2], flat, boxes)[middle], whole[middle], atol=2e-5)


def test_both_teachers_follow_the_neighbourhood_where_the_network_does(dataset: WindowDataset) -> None:
    """A network that corrects nothing says of a clean frame what either teacher asks for."""
    network = DSLNet(msgspec.structs.replace(SMALL, gain_radius=2))
    batch = draw_batch(dataset, msgspec.structs.replace(CONFIG, noise_share=0.0), 0)
    still = batch.clean[:, None].expand(-1, 5, -1, -1, -1)
    with torch.no_grad():
        says = network.render(still, network.shared_conditions(batch.whole), batch.boxes)
        alone = DSLNet(SMALL).render(still, DSLNet(SMALL).shared_conditions(batch.whole), batch.boxes)
    for teacher in (PointwiseTeacher(network), CleanBase(network)):
        assert torch.allclose(teacher(batch.clean, batch.whole, batch.boxes), says, atol=1e-5)
    assert (says - alone).abs().mean() > 1e-4


def test_autocast_does_not_round_the_clean_base(dataset: WindowDataset) -> None:
    teacher = CleanBase(DSLNet(msgspec.structs.replace(SMALL, gain_radius=2)))
    batch = draw_batch(dataset, CONFIG, 0)
    exact = teacher(batch.clean, batch.whole, batch.boxes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(teacher(batch.clean, batch.whole, batch.boxes), exact)


def test_noise_in_the_window_does_not_reach_the_target(dataset: WindowDataset) -> None:
    teacher = PointwiseTeacher(spatial_network())
    noisy = draw_batch(dataset, CONFIG, 0)
    quiet = draw_batch(dataset, msgspec.structs.replace(CONFIG, noise_share=0.0), 0)
    assert not torch.equal(noisy.window, quiet.window)
    targets = [teacher(batch.clean, batch.whole, batch.boxes) for batch in (noisy, quiet)]
    assert torch.equal(*targets)
    # These windows were never degraded, so the clean frame is the window's own.
    assert torch.equal(quiet.clean, quiet.window[:, 2])


def test_restoring_leaves_the_tone_alone_and_goes_on_the_same_when_stopped(
    dataset: WindowDataset, tmp_path: Path
) -> None:
    start = spatial_network()
    before = {name: value.clone() for name, value in start.state_dict().items()}
    whole = train(CONFIG, dataset, tmp_path / "whole", network=start)
    train(CONFIG, dataset, tmp_path / "parts", network=spatial_network(), stop_after=3)
    # The target is kept with the run: another network to start from changes nothing any more.
    parts = train(CONFIG, dataset, tmp_path / "parts", network=spatial_network(seed=9))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
        rests = name.startswith(("stfm.condition", "stfm.modulation"))
        assert torch.equal(value, before[name]) == rests, name
    kept = weights.load_network(weights.read(tmp_path / "parts" / "teacher.safetensors"))
    assert all(torch.equal(value, before[name]) for name, value in kept.state_dict().items())


def test_restoring_lowers_the_distance_to_the_clean_picture(dataset: WindowDataset, tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, steps=30)
    train(config, dataset, tmp_path, network=spatial_network())
    steps, _ = read_log(tmp_path / "log.jsonl")
    restore = [row["restore"] for row in steps]
    assert sum(restore[-10:]) < 0.85 * sum(restore[:10])


def test_synthetic_shapes_stand_and_move_as_their_clean_frame_does() -> None:
    steady = moving = degraded = 0
    for seed in range(40):
        window, clean = saturated_shapes(5, 64, np.random.default_rng(seed))
        again, _ = saturated_shapes(5, 64, np.random.default_rng(seed))
        assert torch.equal(window, again)
        assert window.shape == (5, 3, 64, 64)
        assert clean.shape == (3, 64, 64)
        assert min(float(window.min()), float(clean.min())) >= 0
        assert max(float(window.max()), float(clean.max())) <= 1
        error = (window[2] - clean).abs()
        degraded += bool(error.max() > 0.01)
        assert error.mean() < 0.08
        still = bool((window[0] - window[4]).abs().mean() < 0.003)
        steady, moving = steady + still, moving + (not still)
    assert min(steady, moving, degraded) >= 5


def test_shapes_of_saturated_light_count_where_the_guards_do(dataset: WindowDataset) -> None:
    network = spatial_network()
    objective = Objective(network, CONFIG.loss, PointwiseTeacher(network))
    batch = draw_batch(dataset, CONFIG, 0)
    assert "shapes" not in objective(batch)
    terms = objective(batch, 5)
    assert terms["shapes"] > 0
    assert torch.equal(terms["shapes"], objective(batch, 5)["shapes"])
    assert not torch.equal(terms["shapes"], objective(batch, 6)["shapes"])


def test_shapes_alone_have_a_teacher_too(dataset: WindowDataset, tmp_path: Path) -> None:
    loss = msgspec.structs.replace(CONFIG.loss, restore=0.0)
    train(msgspec.structs.replace(CONFIG, loss=loss, steps=1), dataset, tmp_path, network=spatial_network())
    [row], _ = read_log(tmp_path / "log.jsonl")
    assert row["shapes"] > 0
    assert "restore" not in row


def test_a_network_without_points_is_refused(dataset: WindowDataset, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="restore"):
        train(CONFIG, dataset, tmp_path, network=build_variant("csrnet", SMALL))

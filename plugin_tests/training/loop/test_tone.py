"""The tone stage: points answer as flat pictures do, the start is on scale, training lowers the loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from plugin_tests.training.dataset.small_datasets import write_dataset
from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.config.run import ToneConfig, TrainConfig
from vsdslnet.training.dataset.batches import Batch, draw_batch
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.initialisation.activations import initialise_activations
from vsdslnet.training.initialisation.offsets import initialise_offsets, motion_distance
from vsdslnet.training.loop.tone import train_tone
from vsdslnet.training.pointwise.flat_field import render_points, spatial_at, vectors_of_frames
from vsdslnet.training.pointwise.points import Points
from vsdslnet.training.simulation.synthetic import colored_light

SMALL = DSLNetConfig(features=8, kernel=5, chain=1, dynamic_kernel=3)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Points:
    return Points([WindowDataset(write_dataset(tmp_path_factory.mktemp("tone") / "dataset"))])


ON_BLOCKS = {"scale": 4, "kernel": 3, "chain": 1, "dynamic_kernel": 0, "deform_kernel": 1, "color_map": True}


TOLD = ON_BLOCKS | {"frame_blend": True}


@pytest.mark.parametrize(
    "changes", [{"lkrb": "skip"}, {"lkrb": "text"}, ON_BLOCKS, TOLD], ids=["skip", "text", "blocks", "told"]
)
def test_a_point_answers_as_the_middle_of_a_flat_picture(changes: dict[str, Any]) -> None:
    torch.manual_seed(3)
    network = DSLNet(DSLNetConfig(**({"features": 8, "kernel": 5, "dynamic_kernel": 3} | changes)))
    nn.init.normal_(network.head.weight, std=0.05)
    colors = torch.rand(6, 3)
    size = 96  # the middle is beyond the reach of every border
    flat = colors[:, None, :, None, None].expand(-1, 5, -1, size, size)
    middle = slice(size // 2, size // 2 + network.config.scale)
    with torch.no_grad():
        whole = network(flat)[..., middle, middle].mean(dim=(-2, -1))
        vectors = vectors_of_frames(network, network.stfm.condition.blocks(flat[:, 2]))
        spatial = spatial_at(vectors.spatial, torch.full((6, 1, 2), 0.5))
        point = render_points(network, colors[:, None], vectors, spatial)[:, :, 0, 0]
    assert torch.allclose(whole, point, atol=2e-5)


def test_positions_say_where_the_points_lie_however_the_frame_is_cut(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "dataset", windows=4)
    x, y = np.meshgrid((np.arange(128) + 0.5) / 128, (np.arange(72) + 0.5) / 72)
    places = np.stack([x, y, 0 * x], axis=-1)
    np.save(folder / "cond.npy", np.broadcast_to((255 * places).astype(np.uint8), (4, 5, 72, 128, 3)))
    cut = np.stack(np.meshgrid(0.2 + 0.6 * (np.arange(160) + 0.5) / 160, 0.2 + 0.6 * (np.arange(96) + 0.5) / 96), -1)
    pixels = np.concatenate([cut, np.zeros((96, 160, 1))], axis=-1)
    np.save(folder / "sdr.npy", np.broadcast_to((255 * pixels).astype(np.uint8), (4, 5, 96, 160, 3)))
    points = Points([WindowDataset(folder)])
    for seed in range(6):
        batch = points.draw(np.random.default_rng(seed), 4, 64)
        seen = torch.nn.functional.grid_sample(
            batch.frames, (2 * batch.positions - 1)[:, :, None], padding_mode="border", align_corners=False
        )[..., 0].transpose(1, 2)
        assert (seen - batch.sdr).abs().max() < 0.02


def test_looks_are_drawn_as_often_as_asked(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "dataset", windows=12)
    looks = ["youtube"] * 9 + ["phone"] * 2 + ["filmic"]
    (folder / "meta.jsonl").write_text("".join(f'{{"group": "made", "look": "{look}"}}\n' for look in looks))
    points = Points([WindowDataset(folder)], {"youtube": 1.0, "phone": 3.0})
    chances = points.chances
    assert chances is not None
    assert np.allclose(chances, [0.25 / 9] * 9 + [0.75 / 2] * 2 + [0.0])
    with pytest.raises(ArgumentError, match="sepia"):
        Points([WindowDataset(folder)], {"sepia": 1.0})


def test_points_are_those_of_the_look_that_a_dataset_was_opened_for(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "dataset", windows=6)
    looks = ["youtube", "phone", "youtube", "phone", "filmic", "phone"]
    (folder / "meta.jsonl").write_text("".join(f'{{"group": "made", "look": "{look}"}}\n' for look in looks))
    every, phone = Points([WindowDataset(folder)]), Points([WindowDataset(folder, look="phone")], {"phone": 1.0})
    assert (len(every), len(phone)) == (6, 3)
    for name in ("sdr", "hdr", "whole", "crop"):
        assert np.array_equal(getattr(phone, name), getattr(every, name)[[1, 3, 5]])
    assert not np.array_equal(phone.sdr, every.sdr[:3])
    assert np.allclose(phone.chances, 1 / 3)  # type: ignore[arg-type]


def test_the_start_puts_the_vectors_of_pictures_on_one_scale(points: Points) -> None:
    torch.manual_seed(1)
    network = DSLNet(SMALL)
    batch = points.take(np.arange(len(points)), np.random.default_rng(1), 32)
    initialise_activations(network, batch)
    with torch.no_grad():
        vectors = vectors_of_frames(network, network.stfm.condition.blocks(batch.frames))
        output = render_points(network, batch.sdr, vectors, spatial_at(vectors.spatial, batch.positions))
        base = network.compose(batch.sdr.transpose(1, 2)[..., None], torch.zeros(()))
    assert 0.01 < vectors.temporal.std(dim=0).mean() < 1
    assert torch.equal(output, base)  # the head is still zero


def test_the_stage_learns_and_repeats_itself(points: Points) -> None:
    config = TrainConfig(
        network=SMALL, seed=5, tone=ToneConfig(steps=40, windows=6, points=24, rate=4e-3, ema_decay=0.9)
    )
    runs = []
    for _ in range(2):
        losses: list[float] = []
        torch.manual_seed(5)
        network = DSLNet(SMALL)
        train_tone(network, points, config, lambda _, terms, to=losses: to.append(terms["l1"]))  # type: ignore[misc]
        runs.append((losses, network.head.weight.clone()))
    assert np.mean(runs[0][0][-15:]) < 0.97 * np.mean(runs[0][0][:15])
    assert torch.equal(runs[0][1], runs[1][1])


def test_settling_moves_the_conditions_and_nothing_else(points: Points) -> None:
    torch.manual_seed(4)
    network = DSLNet(SMALL)
    initialise_activations(network, points.take(np.arange(4), np.random.default_rng(4), 16))
    nn.init.normal_(network.head.weight, std=0.05)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    tone = ToneConfig(steps=3, windows=4, points=16, initialise=False, conditions_only=True)
    train_tone(network, points, TrainConfig(network=SMALL, tone=tone))
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[1] for name in moved} == {"condition", "modulation"}
    assert all(name.startswith("stfm.") for name in moved)


def test_only_the_middle_tap_is_trained(points: Points) -> None:
    torch.manual_seed(2)
    network = DSLNet(SMALL)
    batch = points.take(np.arange(4), np.random.default_rng(2), 16)
    initialise_activations(network, batch)
    nn.init.normal_(network.head.weight, std=0.1)
    vectors = vectors_of_frames(network, network.stfm.condition.blocks(batch.frames))
    render_points(network, batch.sdr, vectors, spatial_at(vectors.spatial, batch.positions)).sum().backward()
    gradient = network.head.weight.grad
    assert gradient is not None
    assert gradient[..., 1, 1].abs().sum() > 0
    gradient[..., 1, 1] = 0
    assert gradient.abs().sum() == 0


def endpoint_error_px(network: DSLNet, batch: Batch) -> Tensor:
    """Mean distance in px between a frame's mean offset and its known motion."""
    ldoe = network.dmfa.ldoe
    frames = batch.window.flatten(1, 2)
    encoded = ldoe.encode(frames)
    offsets = ldoe.offsets(encoded, ldoe.kernels(encoded), (frames.shape[-2], frames.shape[-1]))
    return motion_distance(offsets, batch.flow)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[DSLNet, float, float]:
    """A network whose offsets were solved for, and its endpoint error on another batch before and after."""
    dataset = WindowDataset(write_dataset(tmp_path_factory.mktemp("moving") / "dataset", windows=12))
    torch.manual_seed(1)
    network = DSLNet()
    as_they_are = DSLNetConfig(motion_compensated=False)
    config = TrainConfig(network=as_they_are, batch=4, patch_px=64, repeat_centre=0.0)
    before = endpoint_error_px(network, draw_batch(dataset, config, 100))
    initialise_offsets(network, lambda n: draw_batch(dataset, config, n, stream=1), 6)
    return network, before, endpoint_error_px(network, draw_batch(dataset, config, 100))


def test_the_start_of_ldoe_sees_a_motion_it_was_not_solved_on(started: tuple[DSLNet, float, float]) -> None:
    _, before, after = started
    assert after < 0.8 * before


def test_where_nothing_is_to_be_seen_nothing_moves_at_the_start(started: tuple[DSLNet, float, float]) -> None:
    network, *_ = started
    ldoe = network.dmfa.ldoe
    assert ldoe.stem.bias is not None
    constant = ldoe.stem.bias == 1
    assert constant.sum() == 16
    encoded = constant.float().view(1, -1, 1, 1).expand(-1, -1, 32, 32)
    kernels = ldoe.kernels(encoded)
    assert kernels is not None
    # Their kernels are the motion; the others' pass on what they get.
    middle = kernels[0, :, 3, 3]
    assert middle[constant].abs().max() < 1e-4
    assert torch.equal(middle[~constant], torch.ones(48))


def test_points_in_coloured_light_are_those_of_their_frames(points: Points) -> None:
    for seed in range(8):
        random = np.random.default_rng(seed)
        batch = points.take(np.arange(4), random, 32)
        flat = batch.frames[:, :, :1, :1].expand_as(batch.frames).contiguous()
        sdr = flat[:, :, 0, :1].transpose(1, 2).expand(-1, 32, -1)
        lit, lit_sdr = colored_light(flat, sdr, random)
        assert torch.allclose(lit[:, :, 0, 0], lit_sdr[:, 0], atol=1e-6)
        assert lit.min() >= 0 and lit.max() <= 1
        assert not torch.allclose(lit, flat, atol=0.05)


def test_coloured_light_learns_to_come_out_near_the_base(points: Points) -> None:
    torch.manual_seed(6)
    network = DSLNet(SMALL)
    initialise_activations(network, points.take(np.arange(4), np.random.default_rng(6), 16))
    nn.init.normal_(network.head.weight, std=0.1)
    tone = ToneConfig(
        steps=60, windows=8, points=16, rate=3e-3, initialise=False, ramp=0, steady=0, colors=5.0, guard_every=1
    )
    seen: list[float] = []
    train_tone(network, points, TrainConfig(network=SMALL, tone=tone), lambda _, terms: seen.append(terms["colors"]))
    assert np.mean(seen[-10:]) < 0.5 * np.mean(seen[:10])

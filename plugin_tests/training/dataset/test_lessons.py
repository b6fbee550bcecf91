"""Lessons: a teacher's pictures of a dataset, made once, in the place of the masters."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from plugin_tests.training.dataset.small_datasets import write_dataset
from vsdslnet import weights
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion.compensation import compensated
from vsdslnet.training.config.run import LossConfig, OptimiserConfig, TrainConfig, load_schedule
from vsdslnet.training.dataset.batches import draw_batch
from vsdslnet.training.dataset.lessons import Lessons, Painter, prepare_lessons
from vsdslnet.training.dataset.store import WindowDataset, planes
from vsdslnet.training.initialisation.from_teacher import inherit_conditions
from vsdslnet.training.loop.log_plots import read_log
from vsdslnet.training.loop.run import train

TEACHER = DSLNetConfig(features=8, kernel=5, dynamic_kernel=3, gain_radius=2, frame_blend=True)
PUPIL = DSLNetConfig(scale=4, features=12, kernel=3, chain=1, dynamic_kernel=0, deform_kernel=1, color_map=True)
WINDOWS = 4
CODE = 1 / 65535


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> WindowDataset:
    folder = write_dataset(tmp_path_factory.mktemp("lessons") / "dataset", windows=WINDOWS)
    (folder / "manifest.json").write_text(json.dumps({"format": 2, "complete": True, "sha256": "of this dataset"}))
    return WindowDataset(folder)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> weights.WeightsFile:
    torch.manual_seed(4)
    network = DSLNet(TEACHER)
    torch.nn.init.normal_(network.head.weight, std=0.05)
    return weights.save(network, tmp_path_factory.mktemp("teacher") / "teacher.safetensors")


@pytest.fixture(scope="module")
def folder(dataset: WindowDataset, teacher: weights.WeightsFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lessons") / "all"
    prepare_lessons(dataset, teacher, out)
    return out


@torch.no_grad()
def test_a_picture_is_the_plain_teachers_on_aligned_frames(
    dataset: WindowDataset, teacher: weights.WeightsFile, folder: Path
) -> None:
    network, lessons = weights.load_network(teacher), Lessons([(dataset, folder)])
    item = lessons[1]
    window, whole = compensated(planes(item["sdr"])[None]), planes(item["cond"])[None]
    assert (planes(item["aligned"]) - window[0]).abs().max() <= CODE
    assert not torch.equal(window[0], planes(item["sdr"]))  # the dataset's pan is there to be undone
    expected = network.render(window, network.shared_conditions(whole), [tuple(item["crop"].tolist())])[0].clamp(0, 1)
    painted = Painter(network, torch.float32)(window[0], whole[0], tuple(item["crop"].tolist()))
    assert (painted.clamp(0, 1) - expected).abs().max() < 2.5e-5
    # As stored, in whatever precision this processor is fast in.
    assert (planes(item["picture"]) - expected).abs().mean() < 5e-3


def test_unfinished_lessons_are_gone_on_with_and_no_others(
    dataset: WindowDataset, teacher: weights.WeightsFile, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "lessons"
    prepare_lessons(dataset, teacher, out, windows=2)
    assert len(Lessons([(dataset, out)])) == 2
    with pytest.raises(ArgumentError, match="lessons"):
        prepare_lessons(dataset, teacher, out)
    # As a kill behind the second window leaves them.
    half = tmp_path / "half"
    prepare_lessons(dataset, teacher, half)
    found = json.loads((half / "lessons.json").read_text())
    (half / "lessons.json").write_text(json.dumps({**found, "done": 2}))
    pictures = np.load(half / "picture.npy", mmap_mode="r+")
    pictures[2:] = 0
    pictures.flush()
    with pytest.raises(MediaError, match="unfinished"):
        Lessons([(dataset, half)])
    seen: list[int] = []
    prepare_lessons(dataset, teacher, half, on_progress=lambda done, _: seen.append(done))
    assert seen == [2, WINDOWS]
    assert np.array_equal(np.load(half / "picture.npy"), np.load(folder / "picture.npy"))


def test_lessons_of_several_datasets_are_one(dataset: WindowDataset, folder: Path) -> None:
    both = Lessons([(dataset, folder), (dataset, folder)])
    assert len(both) == 2 * WINDOWS
    assert both.crop_size == (96, 160)
    assert torch.equal(both[WINDOWS + 1]["picture"], both[1]["picture"])
    assert not torch.equal(both[0]["picture"], both[1]["picture"])
    with pytest.raises(IndexError):
        both[2 * WINDOWS]


def test_crops_of_lessons_begin_at_whole_blocks_and_have_the_teachers_target(
    dataset: WindowDataset, folder: Path
) -> None:
    config = TrainConfig(network=PUPIL, batch=16, patch_px=32, noise_share=1.0, repeat_centre=1.0)
    lessons = Lessons([(dataset, folder)])
    batch = draw_batch(lessons, config, 0)
    pictures = torch.stack([planes(lessons[index]["picture"]) for index in range(WINDOWS)])
    whole = {(top, left) for top in range(0, 65, 4) for left in range(0, 129, 4)}
    for target in batch.target:
        unflipped = (target, target.flip(-1), target.flip(-2), target.flip(-1).flip(-2))
        assert any(
            torch.equal(picture[:, top : top + 32, left : left + 32], each)
            for each in unflipped
            for picture in pictures
            for top, left in whole
        )
    assert torch.isnan(batch.flow).all()


def test_a_pupil_learns_from_lessons_and_repeats_itself(
    dataset: WindowDataset, teacher: weights.WeightsFile, folder: Path, tmp_path: Path
) -> None:
    loss = LossConfig(flow=0.0, detail=0.5, steady=0.0, ramp=0.1, guard_every=4)
    optimiser = OptimiserConfig(rate=3e-3, warmup_steps=2)
    config = TrainConfig(
        network=PUPIL, loss=loss, optimiser=optimiser, steps=30, batch=2, patch_px=64, ema_decay=0.9, precision="no"
    )
    runs = []
    for name in ("one", "two"):
        torch.manual_seed(config.seed)
        network = DSLNet(PUPIL)
        inherit_conditions(network, weights.load_network(teacher))
        train(config, Lessons([(dataset, folder)]), tmp_path / name, network=network)
        steps, _ = read_log(tmp_path / name / "log.jsonl")
        runs.append([row["l1"] for row in steps])
    assert runs[0] == runs[1]
    assert np.mean(runs[0][-6:]) < 0.6 * np.mean(runs[0][:6])


def test_stages_for_masters_are_refused_with_lessons(dataset: WindowDataset, folder: Path, tmp_path: Path) -> None:
    config = TrainConfig(network=PUPIL, offset_batches=2, steps=1, batch=1, patch_px=32)
    with pytest.raises(ArgumentError, match="offset_batches"):
        train(config, Lessons([(dataset, folder)]), tmp_path / "run")
    with pytest.raises(ArgumentError, match="scale"):
        train(config, dataset, tmp_path / "other")


def test_a_pupil_sees_whole_frames_as_its_teacher_does(teacher: weights.WeightsFile) -> None:
    master, pupil = weights.load_network(teacher), DSLNet(PUPIL)
    inherit_conditions(pupil, master)
    frames = torch.rand(1, 5, 3, 72, 128)
    wide, narrow = PUPIL.features, TEACHER.features
    with torch.no_grad():
        features = master.stfm.condition.frame_features(frames)
        assert torch.equal(pupil.stfm.condition.frame_features(frames), features)
        for name in ("tme", "cme"):
            pooled = features.flatten(1, 2) if name == "tme" else features[:, 2]
            said = []
            for condition in (pupil.stfm.condition, master.stfm.condition):
                first, last = getattr(condition, f"{name}_in"), getattr(condition, f"{name}_out")
                said.append(last(first(pooled).mean(dim=(-2, -1), keepdim=True)).flatten(1))
            scale, shift = said[0].chunk(2, dim=1)
            both = torch.cat([scale[:, :narrow], shift[:, :narrow]], dim=1)
            assert torch.allclose(both, said[1], atol=1e-5), name
            assert scale.shape[1] == wide


def test_a_pupil_that_looks_at_other_frames_is_refused(teacher: weights.WeightsFile) -> None:
    pupil = DSLNet(msgspec.structs.replace(PUPIL, radius=1))
    with pytest.raises(ArgumentError, match="radius"):
        inherit_conditions(pupil, weights.load_network(teacher))


def test_the_shipped_schedule_is_of_blocks_and_asks_for_nothing_that_lessons_lack() -> None:
    config = load_schedule("distil")
    assert config.network.scale == 4
    assert not config.tone.steps
    assert not config.offset_batches
    assert not config.loss.flow

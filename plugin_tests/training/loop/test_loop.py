"""A run is a pure function of its configuration: stopped and resumed, it is the same run."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from plugin_tests.training.dataset.small_datasets import write_dataset
from vsdslnet import weights
from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.training.config.run import (
    LossConfig,
    OptimiserConfig,
    Precision,
    ToneConfig,
    TrainConfig,
    available_schedules,
    load_schedule,
)
from vsdslnet.training.dataset.batches import draw_batch
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.loop.log_plots import plot_log, read_log
from vsdslnet.training.loop.objective import entering, grey_fields, ramp_shortfall, with_intruder
from vsdslnet.training.loop.run import train
from vsdslnet.training.loop.state import rate_factor

SMALL = DSLNetConfig(features=8, kernel=5, chain=1, dynamic_kernel=3)
CONFIG = TrainConfig(
    network=SMALL,
    loss=LossConfig(guard_every=2),
    optimiser=OptimiserConfig(rate=5e-3, warmup_steps=2),
    steps=6,
    batch=4,
    patch_px=16,
    validate_every=3,
    validation_windows=2,
    precision="no",
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> WindowDataset:
    return WindowDataset(write_dataset(tmp_path_factory.mktemp("dataset") / "train"))


def _losses(run: Path) -> list[dict[str, float]]:
    steps, _ = read_log(run / "log.jsonl")
    return [{k: v for k, v in row.items() if k != "seconds"} for row in steps]


def test_a_stopped_run_goes_on_with_the_same_losses_and_weights(dataset: WindowDataset, tmp_path: Path) -> None:
    whole = train(CONFIG, dataset, tmp_path / "whole", validation=dataset)
    train(CONFIG, dataset, tmp_path / "parts", stop_after=4)
    # What a kill leaves behind: lines in the log past the last checkpoint.
    with (tmp_path / "parts" / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 5, "loss": 99.0}) + '\n{"step": 6, "lo')
    parts = train(CONFIG, dataset, tmp_path / "parts")
    assert _losses(tmp_path / "parts") == _losses(tmp_path / "whole")
    samples = sorted((tmp_path / "whole" / "samples").iterdir())
    assert [path.name for path in samples] == ["step-000003.png", "step-000006.png"]
    sheets = [np.asarray(Image.open(path)) for path in samples]
    assert sheets[0].shape == sheets[1].shape
    assert (sheets[0] != sheets[1]).any()  # it has learnt
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_a_run_with_a_tone_stage_is_the_same_killed_before_its_first_checkpoint(
    dataset: WindowDataset, tmp_path: Path
) -> None:
    config = msgspec.structs.replace(CONFIG, tone=ToneConfig(steps=4, windows=4, points=16), steps=2)
    whole = train(config, dataset, tmp_path / "whole", tone_datasets=[dataset])
    train(config, dataset, tmp_path / "parts", tone_datasets=[dataset], stop_after=0)
    (tmp_path / "parts" / "checkpoint.pt").unlink()
    parts = train(config, dataset, tmp_path / "parts", tone_datasets=[dataset])
    assert len((tmp_path / "parts" / "tone.jsonl").read_text().splitlines()) == 4
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_a_finished_network_is_shrunk_towards_its_base_once(dataset: WindowDataset, tmp_path: Path) -> None:
    whole = train(CONFIG, dataset, tmp_path / "whole")
    config = msgspec.structs.replace(CONFIG, shrink=0.5)
    shrunk = [train(config, dataset, tmp_path / "shrunk") for _ in range(2)]
    for network in shrunk:
        assert torch.equal(network.state_dict()["head.weight"], 0.5 * whole.state_dict()["head.weight"])


def test_training_lowers_the_loss_and_writes_loadable_weights(dataset: WindowDataset, tmp_path: Path) -> None:
    config = TrainConfig(
        network=SMALL,
        loss=LossConfig(steady=0, ramp=0),
        optimiser=OptimiserConfig(rate=5e-3, warmup_steps=2),
        steps=40,
        batch=4,
        patch_px=16,
        precision="no",
    )
    train(config, dataset, tmp_path)
    losses = [row["loss"] for row in _losses(tmp_path)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    network = weights.load_network(weights.read(tmp_path / "ema.safetensors"))
    assert network.config == SMALL
    plot_log(tmp_path / "log.jsonl", tmp_path / "log.png")
    assert (tmp_path / "log.png").stat().st_size > 1000


@pytest.mark.parametrize(("native", "same"), [(True, "bf16"), (False, "no")])
def test_auto_takes_the_precision_that_the_device_has(
    dataset: WindowDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: bool, same: Precision
) -> None:
    monkeypatch.setattr("vsdslnet.training.loop.state.bf16_is_native", lambda device: native)
    config = TrainConfig(network=SMALL, loss=LossConfig(steady=0, ramp=0), steps=2, batch=2, patch_px=16)
    runs: tuple[Precision, ...] = ("auto", same, "no" if native else "bf16")
    auto, named, other = (
        train(msgspec.structs.replace(config, precision=name), dataset, tmp_path / str(k))
        for k, name in enumerate(runs)
    )
    assert torch.equal(auto.state_dict()["head.weight"], named.state_dict()["head.weight"])
    assert not torch.equal(auto.state_dict()["head.weight"], other.state_dict()["head.weight"])


def test_another_configuration_is_refused_in_the_same_folder(dataset: WindowDataset, tmp_path: Path) -> None:
    train(CONFIG, dataset, tmp_path, stop_after=1)
    other = TrainConfig(network=SMALL, steps=6, batch=2, patch_px=16)
    with pytest.raises(ArgumentError, match="configuration it was started with"):
        train(other, dataset, tmp_path)


def test_a_patch_larger_than_the_datasets_windows_is_refused(dataset: WindowDataset, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="at most the side of the dataset's windows, 96"):
        train(msgspec.structs.replace(CONFIG, patch_px=160), dataset, tmp_path)


def test_processes_share_one_global_batch(dataset: WindowDataset) -> None:
    whole = draw_batch(dataset, CONFIG, 3)
    halves = [draw_batch(dataset, CONFIG, 3, rank, 2) for rank in range(2)]
    assert torch.equal(torch.cat([h.window for h in halves]), whole.window)
    assert halves[0].boxes + halves[1].boxes == whole.boxes


def test_a_crop_and_its_target_show_the_same_place(dataset: WindowDataset) -> None:
    for step in range(8):
        batch = draw_batch(dataset, CONFIG, step)
        expected = batch.window[:, 2].pow(2.2) * batch.target.amax() / batch.window[:, 2].amax() ** 2.2
        assert torch.nn.functional.l1_loss(batch.target, expected) < 0.02


def test_flow_follows_the_flips(dataset: WindowDataset) -> None:
    as_they_are = msgspec.structs.replace(CONFIG, network=msgspec.structs.replace(SMALL, motion_compensated=False))
    for step in range(8):
        batch = draw_batch(dataset, as_they_are, step)
        for window, flow, clean in zip(batch.window, batch.flow, batch.clean, strict=True):
            assert torch.equal(clean, window[2])
            shift = int(flow[3, 0, 8, 8])
            assert int(flow[2, 0, 8, 8]) == 0
            inner = slice(2, -2)
            moved = window[3].roll(-shift, dims=-1)
            assert torch.equal(moved[..., inner], window[2][..., inner])


def test_some_frames_are_moved_where_no_estimate_could_know_it(dataset: WindowDataset) -> None:
    """The centre frame, what is wanted of it and the other draws stay; the flow of what moved is unknown."""
    full = msgspec.structs.replace(CONFIG, patch_px=96)
    moved_all = msgspec.structs.replace(full, misaligned_share=1.0, misaligned_px=3)
    moved = 0
    for step in range(4):
        plain, other = draw_batch(dataset, full, step), draw_batch(dataset, moved_all, step)
        assert torch.equal(plain.window[:, 2], other.window[:, 2])
        assert torch.equal(plain.target, other.target)
        assert plain.boxes == other.boxes
        for a, b, flow in zip(
            plain.window.flatten(0, 1), other.window.flatten(0, 1), other.flow.flatten(0, 1), strict=True
        ):
            if torch.equal(a, b):
                continue
            moved += 1
            assert flow.isnan().all()
            shifts = [(y, x) for y in range(-3, 4) for x in range(-3, 4)]
            rolled = (a.roll(shift, dims=(-2, -1))[..., 3:-3, 3:-3] for shift in shifts)
            assert any(torch.equal(part, b[..., 3:-3, 3:-3]) for part in rolled)
    assert moved >= 10


def test_rates_follow_the_papers_halvings() -> None:
    config = load_schedule("paper").optimiser
    assert [rate_factor(config, step, 350_000) for step in (60_000, 160_000, 200_000, 340_000)] == [
        0.5,
        0.125,
        0.0625,
        0.5**7,
    ]


def test_every_schedule_that_ships_is_valid() -> None:
    assert {load_schedule(name).batch > 0 for name in available_schedules()} == {True}


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text("stepz = 3\n")
    with pytest.raises(ArgumentError, match="stepz"):
        load_schedule(str(tmp_path / "odd.toml"))


def test_ramp_shortfall_is_zero_inside_its_slopes_and_grows_outside() -> None:
    base = torch.full((4,), 0.01)
    assert ramp_shortfall(base, base, (0.3, 2.0)) == 0
    falling, steep = ramp_shortfall(-base, base, (0.3, 2.0)), ramp_shortfall(4 * base, base, (0.3, 2.0))
    assert falling > 0
    assert steep > 0


def test_an_intruder_stays_off_the_crop() -> None:
    import numpy as np

    whole = torch.full((2, 5, 3, 36, 64), 0.5)
    boxes = [(0.6, 0.2, 0.9, 0.6), (0.1, 0.1, 0.4, 0.5)]
    for seed in range(8):
        out = with_intruder(whole, boxes, np.random.default_rng(seed))
        for (x0, _, x1, _), sample in zip(boxes, out, strict=True):
            assert (sample[..., round(x0 * 64) : round(x1 * 64)] == 0.5).all()
            assert (sample != 0.5).flatten(1).any(dim=1).all()


def test_what_enters_is_seen_one_frame_earlier_by_the_next_window() -> None:
    import numpy as np

    for seed in range(20):
        before, after = entering(5, np.random.default_rng(seed))
        assert torch.equal(before[1:], after[:-1])
        assert not before[0]
        assert after.any()


def test_grey_fields_come_in_rising_pairs() -> None:
    import numpy as np

    fields = grey_fields(8, 4, np.random.default_rng(0))[:, 0, 0, 0]
    assert (fields[1::2] > fields[::2]).all()
    assert fields.max() <= 1


def test_neighbours_of_a_batch_lie_on_the_centre_and_flow_is_what_is_left(dataset: WindowDataset) -> None:
    left, before = [], []
    as_they_are = msgspec.structs.replace(CONFIG, network=msgspec.structs.replace(SMALL, motion_compensated=False))
    for step in range(6):
        left.append(draw_batch(dataset, CONFIG, step).flow.abs().nanmean())
        before.append(draw_batch(dataset, as_they_are, step).flow.abs().nanmean())
    assert sum(left) < 0.5 * sum(before)


def test_the_head_moves_as_little_as_its_rate_says(dataset: WindowDataset, tmp_path: Path) -> None:
    """Adam's first step moves every weight by the rate: of the head, that starts at zero, by its share of it."""
    optimiser = OptimiserConfig(rate=1e-3, warmup_steps=0, head_rate=0.02)
    config = msgspec.structs.replace(CONFIG, optimiser=optimiser, steps=1, ema_decay=0.0)
    network = train(config, dataset, tmp_path / "run")
    moved = network.get_parameter("head.weight").abs()
    assert 0.9 * 2e-5 < float(moved.max()) < 1.1 * 2e-5

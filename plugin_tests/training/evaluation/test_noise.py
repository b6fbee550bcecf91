"""What is taken away of noise, judged by the network on the clean frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plugin_tests.command_line import run_python
from plugin_tests.paths import SCRIPTS
from plugin_tests.training.dataset.small_datasets import write_dataset
from plugin_tests.training.networks import base_only
from vsdslnet import weights
from vsdslnet.errors import ArgumentError
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.evaluation.noise import evaluate_noise

SCRIPT = SCRIPTS / "evaluate.py"


@pytest.fixture
def network() -> DSLNet:
    return base_only()


def write_clean_dataset(path: Path, *, noise_codes: int) -> WindowDataset:
    """A dataset whose centre frames are the clean ones, and as far from them as told."""
    write_dataset(path, windows=3)
    windows = np.load(path / "sdr.npy")
    np.save(path / "clean.npy", (windows[:, 2].astype(np.uint16) * 257))
    sign = np.random.default_rng(1).integers(0, 2, windows.shape) * 2 - 1
    np.save(path / "sdr.npy", np.clip(windows.astype(int) + sign * noise_codes, 0, 255).astype(np.uint8))
    return WindowDataset(path)


def test_a_network_that_takes_nothing_away_is_as_far_from_clean_as_its_input(tmp_path: Path, network: DSLNet) -> None:
    (quiet,) = evaluate_noise(write_clean_dataset(tmp_path / "quiet", noise_codes=0), network)
    (noisy,) = evaluate_noise(write_clean_dataset(tmp_path / "noisy", noise_codes=6), network)
    methods = list(quiet.rows)[:-1]
    assert methods[3:] == ["best weight a frame", "best weights a block"]
    for method in methods:
        assert all(row["psnr_db"] > 80 for row in quiet.rows[method]), method
    for five, one, none in zip(*(noisy.rows[m] for m in list(noisy.rows)[:3]), strict=True):
        assert 20 < none["psnr_db"] < 60
        assert five["psnr_db"] == pytest.approx(none["psnr_db"], abs=1e-3)
        assert one["psnr_db"] == pytest.approx(none["psnr_db"], abs=1e-3)
    assert all(abs(row["psnr_db"]) < 1e-6 for row in noisy.rows["gain against the master"])
    # Noise is independent: four more frames as good as the centre one have 10 log10(5) = 7 dB.
    for none, frame, block in zip(*(noisy.rows[m] for m in methods[2:]), strict=True):
        assert none["psnr_db"] + 3 < frame["psnr_db"] < none["psnr_db"] + 7.5
        assert frame["psnr_db"] <= block["psnr_db"] + 0.01


def test_each_kind_of_coded_frame_is_a_group_of_its_own(tmp_path: Path, network: DSLNet) -> None:
    dataset = write_clean_dataset(tmp_path / "dataset", noise_codes=2)
    for meta, types in zip(dataset.meta, ("PBBPB", "BPPBB", "BBBPP"), strict=True):
        meta["picture_types"] = types
    groups = evaluate_noise(dataset, network)
    assert [(group.name, group.pictures) for group in groups] == [
        ("made", ["made 0", "made 1", "made 2"]),
        ("made, B", ["made 0", "made 2"]),
        ("made, P", ["made 1"]),
    ]
    assert groups[2].rows["all frames"] == groups[0].rows["all frames"][1:2]


def test_a_network_of_three_frames_sees_the_middle_of_a_window(tmp_path: Path) -> None:
    (group,) = evaluate_noise(write_clean_dataset(tmp_path / "dataset", noise_codes=0), base_only(radius=1))
    assert all(row["psnr_db"] > 80 for row in group.rows["all frames"])


def test_windows_are_spread_and_none_is_refused(tmp_path: Path, network: DSLNet) -> None:
    dataset = write_clean_dataset(tmp_path / "dataset", noise_codes=2)
    (group,) = evaluate_noise(dataset, network, per_group=2)
    assert group.pictures == ["made 0", "made 1"]
    with pytest.raises(ArgumentError, match="per_group"):
        evaluate_noise(dataset, network, per_group=0)


def test_the_command_prints_the_table(tmp_path: Path, network: DSLNet) -> None:
    write_clean_dataset(tmp_path / "a", noise_codes=4)
    weights.save(network, tmp_path / "small.safetensors")
    command = [SCRIPT, "noise", "--model", tmp_path / "small.safetensors", "--dataset", tmp_path / "a"]
    done = run_python(*command)
    assert done.returncode == 0, done.stderr
    assert "| made | 3 |" in done.stdout

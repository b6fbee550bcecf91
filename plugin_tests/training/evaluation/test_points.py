"""Points of datasets against their masters: means of all windows, leads against the best formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from plugin_tests.command_line import run_python
from plugin_tests.paths import SCRIPTS
from plugin_tests.training.dataset.small_datasets import write_dataset
from plugin_tests.training.networks import base_only
from vsdslnet import weights
from vsdslnet.color.measured import measured_pq
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.evaluation.formulas import FORMULAS
from vsdslnet.training.evaluation.groups import OURS, Group
from vsdslnet.training.evaluation.metrics import mean_by_name
from vsdslnet.training.evaluation.points import evaluate_points, points_as_markdown

SCRIPT = SCRIPTS / "evaluate.py"


@pytest.fixture
def network() -> DSLNet:
    return base_only()


def write_base_dataset(path: Path, windows: int, seed: int = 0) -> WindowDataset:
    """A dataset whose masters are what the measured base makes of the SDR side."""
    write_dataset(path, windows=windows, seed=seed)
    sdr = torch.from_numpy(np.load(path / "sdr.npy")[:, 2]).permute(0, 3, 1, 2).float() / 255
    masters = torch.stack([measured_pq(frame) for frame in sdr]).permute(0, 2, 3, 1)
    np.save(path / "hdr.npy", (masters * 65535).round().numpy().astype(np.uint16))
    return WindowDataset(path)


def test_every_window_of_every_dataset_counts_once_and_methods_get_their_own_figures(
    tmp_path: Path, network: DSLNet
) -> None:
    datasets = [write_base_dataset(tmp_path / "a", 35), write_base_dataset(tmp_path / "b", 3, seed=1)]
    (group,) = groups = evaluate_points(datasets, network, points=16)
    assert (group.name, len(group.pictures)) == ("made", 38)
    assert {name: len(rows) for name, rows in group.rows.items()} == dict.fromkeys((*FORMULAS, OURS), 38)
    means = {name: mean_by_name(rows) for name, rows in group.rows.items()}
    for exact in ("measured base", OURS):
        assert means[exact]["psnr_db"] > 80, exact
        assert abs(means[exact]["exposure_stops"]) < 0.01, exact
    assert means["plain 203 nits"]["psnr_db"] < 40
    assert means["plain 203 nits"]["delta_e_itp"] > 10
    assert evaluate_points(datasets, network, points=16) == groups


def test_the_lead_is_taken_against_each_groups_best_formula() -> None:
    def row(psnr: float, distance: float) -> list[dict[str, float]]:
        return [{"psnr_db": psnr, "delta_e_itp": distance, "exposure_stops": float("nan")}]

    methods = {name: row(20.0, 40.0) for name in FORMULAS}
    methods["BT.2446-A"], methods["libplacebo spline"], methods[OURS] = row(30, 22), row(29, 20), row(31.5, 18.5)
    table = points_as_markdown([Group(name="films", pictures=["one"], rows=methods)], title="some")
    assert table.splitlines()[-1].endswith("| 31.50 / 18.5 / – | +1.50 / +1.5 |")


def test_the_command_prints_the_table(tmp_path: Path, network: DSLNet) -> None:
    write_base_dataset(tmp_path / "a", 2)
    weights.save(network, tmp_path / "small.safetensors")
    command = [SCRIPT, "points", "--model", tmp_path / "small.safetensors", "--dataset", tmp_path / "a"]
    done = run_python(*command)
    assert done.returncode == 0, done.stderr
    assert "| made | 2 |" in done.stdout

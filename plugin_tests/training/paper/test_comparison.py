"""The tables: trained alike, resumable, and written with the paper's figures beside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest
import torch

from plugin_tests.command_line import run_python
from plugin_tests.paths import ROOT, SCRIPTS
from plugin_tests.training.dataset.small_datasets import write_dataset
from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.training.config.run import TrainConfig, load_schedule
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.loop.log_plots import read_log
from vsdslnet.training.loop.run import train
from vsdslnet.training.paper.comparison import compare, finished, scaled_schedule
from vsdslnet.training.paper.tables import PAPER, Figures, as_markdown, plot_figures
from vsdslnet.training.paper.variants import VARIANTS, build_variant

SCRIPT = SCRIPTS / "ablate.py"
SMALL = DSLNetConfig(features=8, kernel=5, dynamic_kernel=3)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> WindowDataset:
    return WindowDataset(write_dataset(tmp_path_factory.mktemp("tables") / "dataset", windows=6))


def small_config(steps: int = 3) -> TrainConfig:
    config = scaled_schedule(load_schedule("paper"), steps=steps, batch=2, patch_px=16, base="bt2446a")
    return msgspec.structs.replace(config, network=SMALL, precision="no")


def test_halvings_keep_their_place_in_a_shorter_run() -> None:
    config = scaled_schedule(load_schedule("paper"), steps=3500, batch=8, patch_px=64, base="none")
    assert config.optimiser.halve_at == (500, 1000, 1500, 1900, 2300, 2700, 3100)
    assert (config.optimiser.condition_rate, config.optimiser.offset_rate) == (1, 1)
    assert (config.loss.l1, config.loss.itp, config.loss.flow, config.loss.steady, config.loss.ramp) == (1, 0, 0, 0, 0)
    assert config.network.base == "none"
    full = scaled_schedule(load_schedule("paper"), steps=350_000, batch=16, patch_px=160, base="none")
    assert full.optimiser.halve_at == load_schedule("paper").optimiser.halve_at


def test_variants_train_on_the_same_batches_and_are_measured(dataset: WindowDataset, tmp_path: Path) -> None:
    names = ["dslnet", "m0", "csrnet"]
    figures = compare(names, small_config(), dataset, dataset, tmp_path, seeds=[1], windows=2)
    assert [row.variant for row in figures] == names
    for row in figures:
        assert 5 < row.psnr_db < 80
        assert 0 < row.sr_sim <= 1
        assert row.delta_e_itp > 0
        steps, _ = read_log(tmp_path / row.variant / "seed1" / "log.jsonl")
        assert len(steps) == 3
    first = {name: read_log(tmp_path / name / "seed1" / "log.jsonl")[0][0]["l1"] for name in names}
    # Untrained, all are the base: on the same batch they have the same loss.
    assert len(set(first.values())) == 1
    # A finished comparison is read back, not trained again.
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("figures.json")}
    again = compare(names, small_config(), dataset, dataset, tmp_path, seeds=[1], windows=2)
    assert again == figures
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("figures.json")} == stamps


@pytest.mark.parametrize("name", ["m1", "adaint"])  # AdaInt has dropout
def test_a_stopped_variant_goes_on_to_the_same_weights(name: str, dataset: WindowDataset, tmp_path: Path) -> None:
    def network() -> torch.nn.Module:
        torch.manual_seed(1)
        return build_variant(name, SMALL)

    config = small_config(4)
    whole = train(config, dataset, tmp_path / "whole", network=network())  # type: ignore[arg-type]
    train(config, dataset, tmp_path / "parts", network=network(), stop_after=2)  # type: ignore[arg-type]
    parts = train(config, dataset, tmp_path / "parts", network=network())  # type: ignore[arg-type]
    for name, value in whole.state_dict().items():
        assert torch.equal(parts.state_dict()[name], value), name


def test_statistics_of_batch_norm_reach_the_averaged_network(dataset: WindowDataset, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = msgspec.structs.replace(small_config(), network=VARIANTS["norm-batch"].config(SMALL))
    average = train(config, dataset, tmp_path / "run", network=build_variant("norm-batch", SMALL))
    assert average.stfm.condition.blocks[0].norm.num_batches_tracked == 3


def _figures(name: str, seed: int, psnr_db: float) -> Figures:
    return Figures(
        variant=name,
        seed=seed,
        steps=10,
        parameters=929_949,
        windows=2,
        psnr_db=psnr_db,
        sr_sim=0.99,
        delta_e_itp=12.5,
    )


def test_tables_hold_mean_spread_and_the_papers_figures(tmp_path: Path) -> None:
    rows = [_figures("dslnet", 1, 30.0), _figures("dslnet", 2, 32.0), _figures("m0", 1, 28.0)]
    text = as_markdown(rows, seconds={"m0": 0.25}, note="A note.", base={"all": 25.0})
    assert text.startswith("A note.")
    assert "## Table 2" in text
    assert "## Table 1" not in text
    assert "31.00 ± 1.41 (35.28)" in text
    assert "28.00 (33.80)" in text
    assert text.count("| 0.25 |") == 1
    assert "by group" not in text
    plot_figures(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000


def test_of_several_groups_there_is_a_table_by_group() -> None:
    rows = [
        msgspec.structs.replace(_figures("dslnet", seed, 30.0), group_psnr_db={"clean": clean, "noisy": 31.0})
        for seed, clean in ((1, 34.0), (2, 35.0))
    ]
    text = as_markdown(rows, seconds={}, note="", base={"clean": 33.0, "noisy": 28.0})
    assert "| network | clean | noisy |" in text
    assert "| the base alone | 33.00 | 28.00 |" in text
    assert "| dslnet | 34.50 ± 0.71 | 31.00 ± 0.00 |" in text


def test_rows_trained_elsewhere_join_those_of_a_folder(tmp_path: Path) -> None:
    own, elsewhere = _figures("dslnet", 1, 30.0), [_figures("dslnet", 1, 29.0), _figures("m0", 1, 28.0)]
    folder = tmp_path / "out" / "dslnet" / "seed1"
    folder.mkdir(parents=True)
    (folder / "figures.json").write_bytes(msgspec.json.encode(own))
    (tmp_path / "elsewhere.json").write_bytes(msgspec.json.encode(elsewhere))
    found = finished(tmp_path / "out", steps=10, windows=2, also=[tmp_path / "elsewhere.json"])
    assert found == [own, elsewhere[1]]
    assert finished(tmp_path, steps=11, windows=2, also=[tmp_path / "elsewhere.json"]) == []
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(ArgumentError, match=r"--also.*a figures\.json of this command"):
        finished(tmp_path, steps=10, windows=2, also=[tmp_path / "broken.json"])


def test_the_papers_figures_cover_every_row_it_prints() -> None:
    assert set(PAPER) == {name for name, v in VARIANTS.items() if v.table != "reading"} - {"hdrtvnet-hg"}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return run_python(SCRIPT, *arguments, env=environment)


def test_the_script_runs_end_to_end_on_a_tiny_budget(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset", windows=3)
    budget = ["--steps", "2", "--batch", "1", "--patch", "16", "--seeds", "1", "--windows", "1"]
    out = tmp_path / "out"
    done = _run("csrnet", "adaint", "--dataset", str(dataset), "--validation", str(dataset), "--out", str(out), *budget)
    assert done.returncode == 0, done.stderr
    text = (out / "tables.md").read_text()
    assert text in done.stdout
    assert "csrnet: CSRNet | 36,489 (0.036M) | 1 |" in text
    assert (out / "figures.png").is_file()
    assert len(msgspec.json.decode((out / "figures.json").read_bytes(), type=list[Figures])) == 2
    collected = _run("--collect", "--validation", str(dataset), "--out", str(out), *budget)
    assert collected.stdout == done.stdout, collected.stderr


def test_the_script_lists_every_variant_and_refuses_unknown_ones() -> None:
    listed = _run("--list")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(VARIANTS)
    assert "929,949" in listed.stdout
    refused = _run("m9", "--dataset", "x", "--validation", "x")
    assert refused.returncode == 1
    assert "m9" in refused.stderr
    assert "Traceback" not in refused.stderr

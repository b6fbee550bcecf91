"""Two processes that share a batch are one process with the whole batch: same losses, same weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from plugin_tests.paths import ROOT
from plugin_tests.training.dataset.small_datasets import write_dataset
from vsdslnet import weights
from vsdslnet.errors import ArgumentError
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.config.run import load_schedule
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.loop import run as loop
from vsdslnet.training.loop.log_plots import read_log
from vsdslnet.training.loop.run import train

SCHEDULE = """
steps = 4
batch = 4
patch_px = 16
precision = "no"
[network]
features = 8
kernel = 5
chain = 1
dynamic_kernel = 3
condition_pixels = 576
[loss]
flow = 0.0
steady = 0.0
ramp = 0.0
[optimiser]
rate = 1e-3
warmup_steps = 1
"""


def _train_in_two_processes(folder: Path, schedule: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = str(ROOT / "scripts" / "train.py")
    # --run and --start by the names that torchrun does not take for its own.
    arguments = ["--dataset", str(folder / "dataset"), "--schedule", str(schedule), "--out", str(folder / "shared")]
    arguments += ["--from", str(folder / "start.safetensors")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *launcher, script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
    assert done.returncode == 0, done.stderr


def _losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_log(run / "log.jsonl")[0]]


def test_two_processes_train_as_one_with_the_same_global_batch(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset", windows=6)
    schedule = tmp_path / "tiny.toml"
    schedule.write_text(SCHEDULE)
    config = load_schedule(str(schedule))
    torch.manual_seed(5)
    network = DSLNet(config.network)
    weights.save(network, tmp_path / "start.safetensors")
    train(config, WindowDataset(dataset), tmp_path / "alone", network=network)
    _train_in_two_processes(tmp_path, schedule)
    alone = _losses(tmp_path / "alone")
    # It learns, or equality would say nothing; and it does not diverge, which would blow a rounding of sums up
    # until the number of threads showed.
    assert len(set(alone)) == 4
    assert alone[-1] < alone[0]
    assert _losses(tmp_path / "shared") == pytest.approx(alone, abs=3e-6)  # the log rounds to 1e-6
    shared_weights = load_file(tmp_path / "shared" / "ema.safetensors")
    for name, value in load_file(tmp_path / "alone" / "ema.safetensors").items():
        assert (shared_weights[name] - value).abs().max() < 1e-5, name


def test_a_batch_that_does_not_divide_among_the_processes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd.toml").write_text(SCHEDULE.replace("batch = 4", "batch = 3"))
    monkeypatch.setattr(loop, "Accelerator", lambda **_: SimpleNamespace(num_processes=2))
    dataset = WindowDataset(write_dataset(tmp_path / "dataset", windows=2))
    with pytest.raises(ArgumentError, match="multiple of the 2 processes"):
        train(load_schedule(str(tmp_path / "odd.toml")), dataset, tmp_path / "run")

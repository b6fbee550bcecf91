"""Two processes that share a batch are one process with the whole batch: same losses, same weights."""

from __future__ import annotations

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from plugin_tests.command_line import run_python
from plugin_tests.paths import ROOT, SCRIPTS
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
    """With what torchrun tells each in its environment, but forked from where PyTorch is loaded."""
    arguments = ["--dataset", folder / "dataset", "--schedule", schedule, "--run", folder / "shared"]
    arguments += ["--start", folder / "start.safetensors"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        master = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}

    def trained(rank: int) -> subprocess.CompletedProcess[str]:
        environment = os.environ | master | {"RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": str(ROOT)}
        return run_python(SCRIPTS / "train.py", *arguments, env=environment, timeout_seconds=240)

    with ThreadPoolExecutor(2) as both:
        for done in both.map(trained, range(2)):
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

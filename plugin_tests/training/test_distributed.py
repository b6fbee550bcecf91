"""Two processes that share a batch are one process with the whole batch: same losses, same weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from plugin_tests.training.pools import write_pool
from vsdslnet.training.report import read_log

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEDULE = """
steps = 4
batch = 4
patch_px = 16
precision = "no"
[network]
features = 8
kernel = 5
dynamic_kernel = 3
condition_pixels = 576
[loss]
flow = 0.0
steady = 0.0
ramp = 0.0
[optimiser]
rate = 5e-3
warmup_steps = 1
"""
LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
    "accelerate": ["accelerate.commands.launch", "--cpu", "--num_processes", "2", "--main_process_port", "0"],
}


def _train(launcher: list[str], folder: Path, name: str) -> tuple[list[float], dict[str, object]]:
    run = folder / name
    arguments = ["--pool", str(folder / "pool"), "--schedule", str(folder / "tiny.toml"), "--out", str(run)]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, *launcher, str(REPOSITORY / "scripts" / "train.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    steps, _ = read_log(run / "log.jsonl")
    return [row["loss"] for row in steps], load_file(run / "ema.safetensors")


@pytest.mark.parametrize("launcher", [pytest.param("torchrun"), pytest.param("accelerate", marks=pytest.mark.slow)])
def test_two_processes_train_as_one_with_the_same_global_batch(launcher: str, tmp_path: Path) -> None:
    write_pool(tmp_path / "pool", windows=6)
    (tmp_path / "tiny.toml").write_text(SCHEDULE)
    alone, alone_weights = _train([], tmp_path, "alone")
    shared, shared_weights = _train(["-m", *LAUNCHERS[launcher]], tmp_path, "shared")
    assert len(alone) == 4
    assert alone[-1] != alone[0]  # it learnt, or equality would say nothing
    assert shared == pytest.approx(alone, abs=3e-6)  # the log rounds to 1e-6
    for name, value in alone_weights.items():
        assert (shared_weights[name] - value).abs().max() < 1e-5, name  # type: ignore[operator]

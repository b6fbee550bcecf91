"""The command line of scripts/train.py: shares of looks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import torch

from plugin_tests.command_line import run_python
from plugin_tests.paths import SCRIPTS
from plugin_tests.training.dataset.small_datasets import write_dataset

SCRIPT = SCRIPTS / "train.py"
SCHEDULE = """
steps = 0
precision = "no"
[network]
features = 8
kernel = 5
dynamic_kernel = 3
[tone]
steps = 1
windows = 2
points = 4
initialise = false
ramp = 0.0
steady = 0.0
colors = 0.0
[tone.look_shares]
youtube = 0.5
filmic = 0.5
"""


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    folder = write_dataset(tmp_path / "dataset", windows=4)
    looks = ["youtube", "phone", "filmic", "phone"]
    (folder / "meta.jsonl").write_text("".join(json.dumps({"group": "made", "look": look}) + "\n" for look in looks))
    path = tmp_path / "tiny.toml"
    path.write_text(SCHEDULE)
    return path


def train(schedule: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder = schedule.parent
    known = ["--dataset", folder / "dataset", "--run", folder / "run", "--schedule", schedule]
    return run_python(SCRIPT, *known, *arguments)


def test_given_shares_stand_for_the_schedules(schedule: Path) -> None:
    done = train(schedule, "--look-share", "phone", "0.8", "--look-share", "filmic", "0")
    assert done.returncode == 0, done.stderr
    written = torch.load(schedule.parent / "run" / "checkpoint.pt", weights_only=True)["config"]
    assert json.loads(written)["tone"]["look_shares"] == {"youtube": 0.5, "filmic": 0.0, "phone": 0.8}


@pytest.mark.parametrize(
    ("look", "share", "said"),
    [
        ("sepia", "0.8", "looks of the datasets: filmic, phone, youtube"),
        ("phone", "-0.8", "shares from 0 on"),
        ("phone", "nan", "shares from 0 on"),
        ("phone", "much", "a look and a number"),
    ],
)
def test_wrong_shares_are_refused_in_one_line(schedule: Path, look: str, share: str, said: str) -> None:
    done = train(schedule, "--look-share", look, share)
    assert done.returncode == 1
    assert said in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_a_missing_device_is_refused_in_one_line(schedule: Path) -> None:
    done = train(schedule, "--device", "cuda")
    assert done.returncode == 1
    assert "PyTorch sees no CUDA device here" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr

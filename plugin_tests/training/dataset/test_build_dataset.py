"""The command line of scripts/build_dataset.py."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from plugin_tests.command_line import run_python
from plugin_tests.paths import ROOT
from vsdslnet.training.dataset.store import WindowDataset

RECIPE = """
validation_scenes = ["held"]
looks = { colourist = 1, gainmap = 1 }
sources = { hdri = 1, hdri_4k = 0, still = 0, pair = 0, original = 0 }

[view]
crop_height = 32
crop_width = 48
hdri_widths = [96]
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return run_python(ROOT / "scripts" / "build_dataset.py", *arguments, env=environment)


def test_one_command_builds_a_dataset_from_a_recipe(data_folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    done = run("--data", data_folder, "--out", tmp_path / "dataset", "--windows", 4, "--seed", 5, "--config", recipe)
    assert done.returncode == 0, done.stderr
    dataset = WindowDataset(tmp_path / "dataset")
    assert len(dataset) == 4
    assert dataset.manifest["sha256"] in done.stdout


def test_a_mistake_ends_in_one_line(tmp_path: Path) -> None:
    done = run("--data", tmp_path / "none", "--out", tmp_path / "dataset")
    assert done.returncode == 1
    assert done.stderr.startswith("build: data=")
    assert "Traceback" not in done.stderr
    done = run("video", "--hdr", "a.mkv", "b.mkv", "--sdr", "x.mkv", "--out", tmp_path)
    assert done.returncode == 1
    assert "2 files, one for each HDR film" in done.stderr

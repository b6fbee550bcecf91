"""The command line of scripts/blend.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from vsdslnet import weights
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet

SCRIPT = Path(__file__).parents[2] / "scripts" / "blend.py"


def saved(path: Path, seed: int, features: int = 8) -> str:
    torch.manual_seed(seed)
    weights.save(DSLNet(DSLNetConfig(features=features, kernel=5, dynamic_kernel=3)), path)
    return str(path)


def blend(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


def test_weights_lie_between_those_of_both(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a.safetensors", 1), saved(tmp_path / "b.safetensors", 2)
    done = blend(a, b, "--share-of-b", "0.25", "--out", tmp_path / "c.safetensors")
    assert done.returncode == 0, done.stderr
    one, other, between = (
        weights.load_network(weights.read(weights.find(str(tmp_path / f"{name}.safetensors")))).state_dict()
        for name in "abc"
    )
    for name, value in between.items():
        assert torch.allclose(value, 0.75 * one[name] + 0.25 * other[name], atol=1e-6), name


def test_networks_that_do_not_fit_are_refused_in_one_line(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a.safetensors", 1), saved(tmp_path / "b.safetensors", 2, features=16)
    done = blend(a, b, "--share-of-b", "0.25", "--out", tmp_path / "c.safetensors")
    assert done.returncode == 1
    assert "same configuration" in done.stderr.strip().splitlines()[-1]
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "c.safetensors").exists()

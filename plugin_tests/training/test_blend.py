"""The command line of scripts/blend.py."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from plugin_tests.command_line import run_python
from plugin_tests.paths import SCRIPTS
from vsdslnet import weights
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet

SCRIPT = SCRIPTS / "blend.py"


def saved(path: Path, seed: int, features: int = 8) -> str:
    torch.manual_seed(seed)
    weights.save(DSLNet(DSLNetConfig(features=features, kernel=5, dynamic_kernel=3)), path)
    return str(path)


def blend(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_python(SCRIPT, *arguments)


def parameters(path: Path) -> dict[str, torch.Tensor]:
    return dict(weights.load_network(weights.read(weights.find(str(path)))).state_dict())


@pytest.mark.parametrize("shares", [(0.25, 0.5, 0.25), (1.2, 0.3, -0.5)])
def test_weights_are_the_shares_of_all(tmp_path: Path, shares: tuple[float, ...]) -> None:
    names = [saved(tmp_path / f"{seed}.safetensors", seed) for seed in range(len(shares))]
    of = [word for name, share in zip(names, shares, strict=True) for word in ("--of", name, str(share))]
    done = blend(*of, "--out", tmp_path / "out.safetensors")
    assert done.returncode == 0, done.stderr
    parts = [parameters(Path(name)) for name in names]
    for name, value in parameters(tmp_path / "out.safetensors").items():
        wanted = sum(share * part[name] for share, part in zip(shares, parts, strict=True))
        assert torch.allclose(value, torch.as_tensor(wanted), atol=1e-6), name


@pytest.mark.parametrize(
    ("features", "share", "said"),
    [(16, "0.25", "same configuration"), (8, "0.5", "sum to 1"), (8, "nan", "sum to 1"), (8, "half", "a number")],
)
def test_what_cannot_be_averaged_is_refused_in_one_line(tmp_path: Path, features: int, share: str, said: str) -> None:
    a, b = saved(tmp_path / "a.safetensors", 1), saved(tmp_path / "b.safetensors", 2, features=features)
    done = blend("--of", a, "0.75", "--of", b, share, "--out", tmp_path / "c.safetensors")
    assert done.returncode == 1
    assert said in done.stderr.strip().splitlines()[-1]
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "c.safetensors").exists()

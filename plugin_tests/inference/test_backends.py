"""Building backends from settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from plugin_tests.inference.networks import BLOCKS, lively, window
from vsdslnet import weights
from vsdslnet.errors import BackendError
from vsdslnet.inference.backends import choose_backend, choose_device, create_backend, frames_under_way
from vsdslnet.options import BackendOptions


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "small.safetensors"
    weights.save(lively(), path)
    return str(path)


def test_settings_make_a_working_backend(model: str) -> None:
    backend = create_backend(BackendOptions(model=model, backend="torch", device="cpu"))
    pq = backend(window(24, 40))
    assert pq.shape == (3, 24, 40)
    assert pq.isfinite().all()
    assert backend.radius_frames == 1


def test_precision_shows_in_the_description(model: str) -> None:
    settings = BackendOptions(model=model, precision="bf16", backend="torch", device="cpu")
    assert "bfloat16" in create_backend(settings).description


def test_a_missing_cuda_device_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match=r"no CUDA device here; .*device='cpu'"):
        choose_device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(BackendError, match="CUDA devices here: 2"):
        choose_device("auto", 2)
    assert choose_device("auto", 1) == torch.device("cuda", 1)
    assert choose_device("cpu", 0) == torch.device("cpu")


def test_blocks_of_pixels_run_on_a_device_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "blocks.safetensors"
    weights.save(lively(BLOCKS), path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_backend(BackendOptions(model=str(path), precision="fp32"))[0] == "cuda"


def test_a_device_has_several_frames_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert frames_under_way(BackendOptions(device="cpu")) == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert frames_under_way(BackendOptions()) > 1
    with pytest.raises(BackendError, match="device_index=3"):
        frames_under_way(BackendOptions(device_index=3))

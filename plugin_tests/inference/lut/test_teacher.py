"""Which network a LUT is learnt from, and what of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from vsdslnet import weights
from vsdslnet.inference.lut import distil
from vsdslnet.inference.lut.key_size import small_size
from vsdslnet.options import BackendOptions


def test_an_installed_model_s_lut_is_learnt_from_its_fast_relative() -> None:
    assert weights.find("dslnet-lut") == weights.find("dslnet-fast")
    assert weights.find("dslnet-fast-lut") == weights.find("dslnet-fast")
    assert weights.find("dslnet") != weights.find("dslnet-fast")


def test_a_file_s_lut_is_learnt_from_that_file(tmp_path: Path) -> None:
    for name in ("dslnet", "dslnet-fast"):
        shutil.copyfile(weights.find(name), tmp_path / f"{name}.safetensors")
    mine = tmp_path / "dslnet.safetensors"
    assert weights.find(f"{mine}-lut") == mine


@pytest.mark.parametrize(("size", "scale", "small"), [
    ((1920, 1080), 1, (320, 180)),
    ((1920, 1080), 4, (480, 270)),
    ((1080, 1920), 4, (270, 480)),
    ((320, 240), 4, (320, 240)),
    ((4000, 20), 4, (4000, 20)),
])  # fmt: skip
def test_key_frames_are_small(size: tuple[int, int], scale: int, small: tuple[int, int]) -> None:
    assert small_size(*size, scale=scale) == small


def test_a_larger_key_frame_is_fitted_to_some_of_its_pixels(monkeypatch: pytest.MonkeyPatch, small_model: str) -> None:
    """All of them say the same, as they come from one network: the LUT hardly changes."""
    window = torch.rand((5, 3, 8, 8), generator=torch.Generator().manual_seed(3))
    window = torch.nn.functional.interpolate(window, size=(64, 96), mode="bicubic").clamp(0, 1)
    options = BackendOptions(model=small_model)
    whole = distil.distil(window, options)
    monkeypatch.setattr(distil, "_FITTED_PIXELS", 64 * 96 // 2)
    half = distil.distil(window, options)
    assert 0 < (half - whole).abs().mean() < 2e-3

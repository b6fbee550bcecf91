"""A small data folder of every kind, made from formulas."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch

from vsdslnet.color.transfer import linear_to_srgb, nits_to_pq
from vsdslnet.training.config.dataset import DataConfig, SourceConfig, ViewConfig, load_recipe
from vsdslnet.training.simulation.sdr_looks import LOOKS


def panorama(seed: int, *, width: int = 256) -> np.ndarray:
    """A smooth panorama without a seam, with a sun: float32 (width/2, width, 3)."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[: width // 2, :width].astype(np.float64)
    longitude, latitude = 2 * np.pi * (u + 0.5) / width, np.pi * (v + 0.5) / (width // 2)
    light = np.zeros((width // 2, width, 3))
    for _ in range(12):
        k, j = rng.integers(1, 9), rng.integers(1, 9)
        wave = np.cos(k * longitude + rng.uniform(0, 6)) * np.cos(j * latitude + rng.uniform(0, 6))
        light += wave[..., None] * rng.uniform(0.1, 0.5, 3)
    sun = np.exp(-((longitude - 3) ** 2 + (latitude - 1.2) ** 2) / 0.01)
    return (0.2 * np.exp(light) + 300 * sun[..., None]).astype(np.float32)


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "hdri").mkdir()
    for number, name in enumerate(("alpha", "beta", "held")):
        cv2.imwrite(str(root / "hdri" / f"{name}.hdr"), panorama(number)[..., ::-1])
    pair = root / "pairs" / "phone"
    pair.mkdir(parents=True)
    light = panorama(7, width=320)[:, :, :]
    sdr = linear_to_srgb(torch.from_numpy(light / 1.5).clamp(0, 1)).numpy()
    cv2.imwrite(str(pair / "sdr.png"), np.rint(255 * sdr).astype(np.uint8)[..., ::-1])
    pq = nits_to_pq(torch.from_numpy(light * 150)).clamp(0, 1).numpy()
    cv2.imwrite(str(pair / "hdr_pq2020.png"), (np.rint(1023 * pq).astype(np.uint16) << 6)[..., ::-1])
    return root


@pytest.fixture(scope="session")
def small_recipe() -> DataConfig:
    """The shipped recipe on small views, without the looks that are tables."""
    view = ViewConfig(
        crop_height=32,
        crop_width=48,
        cond_height=18,
        cond_width=32,
        hdri_widths=(96, 128),
        detailed_widths=(96, 128),
    )
    recipe = load_recipe()
    looks = {name: weight for name, weight in recipe.looks.items() if not LOOKS[name].lut}
    sources = SourceConfig(hdri=0.7, hdri_4k=0, still=0, pair=0.3, original=0)
    return msgspec.structs.replace(
        recipe, view=view, looks=looks, sources=sources, validation_scenes=("held",), validation=()
    )

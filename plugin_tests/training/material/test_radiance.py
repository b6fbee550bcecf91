"""Radiance files and pyramids."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest

from vsdslnet.errors import MediaError
from vsdslnet.training.material.radiance import area_pyramid, clean_radiance, from_root, read_radiance, to_root


def test_hdr_and_exr_files_give_red_green_blue_light(tmp_path: Path) -> None:
    light = np.zeros((8, 16, 3), np.float32)
    light[..., 0], light[..., 1], light[..., 2] = 0.5, 2.0, 8.0
    cv2.imwrite(str(tmp_path / "a.hdr"), light[..., ::-1])
    OpenEXR.File({}, {"RGB": light.astype(np.float16)}).write(str(tmp_path / "b.exr"))
    planes = {name: light[..., c].copy() for c, name in enumerate("RGB")}
    OpenEXR.File({}, planes).write(str(tmp_path / "c.exr"))
    for name in ("a.hdr", "b.exr", "c.exr"):
        np.testing.assert_allclose(read_radiance(tmp_path / name), light, rtol=0.01)


def test_files_that_are_no_pictures_are_refused(tmp_path: Path) -> None:
    for name in ("x.hdr", "x.exr"):
        (tmp_path / name).write_bytes(b"not a picture")
        with pytest.raises(MediaError, match=name):
            read_radiance(tmp_path / name)


def test_cleaning_removes_what_is_not_light_and_bounds_suns() -> None:
    dirty = np.ones((4, 4, 3), np.float32)
    dirty[0, 0], dirty[1, 1], dirty[2, 2], dirty[3, 3] = np.nan, -1, np.inf, 1e5
    clean = clean_radiance(dirty)
    assert np.isfinite(clean).all()
    assert clean.min() == 0
    assert clean.max() == 20_000


def test_a_pyramid_halves_and_keeps_the_mean_light() -> None:
    levels = area_pyramid(np.random.default_rng(0).random((512, 1024, 3), np.float32))
    assert [level.shape[1] for level in levels] == [1024, 512, 256]
    assert levels[-1].mean() == pytest.approx(levels[0].mean(), rel=1e-4)


def test_roots_come_back_and_undershoot_is_black() -> None:
    light = np.float32([0, 1e-4, 1, 1e4])
    np.testing.assert_allclose(from_root(to_root(light)), light, rtol=1e-5)
    assert from_root(np.float32([-0.1]))[0] == 0

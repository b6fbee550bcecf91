"""Radiance files and pyramids."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest

from vsdslnet.errors import MediaError
from vsdslnet.stills.radiance import clean_radiance, read_radiance
from vsdslnet.training.material.pyramid import area_pyramid, from_root, to_root


def test_hdr_and_exr_files_give_red_green_blue_light(tmp_path: Path) -> None:
    light = np.zeros((8, 16, 3), np.float32)
    light[..., 0], light[..., 1], light[..., 2] = 0.5, 2.0, 8.0
    cv2.imwrite(str(tmp_path / "a.hdr"), light[..., ::-1])
    OpenEXR.File({}, {"RGB": light.astype(np.float16)}).write(str(tmp_path / "b.exr"))
    planes = {name: light[..., c].copy() for c, name in enumerate("RGB")}
    OpenEXR.File({}, planes).write(str(tmp_path / "c.exr"))
    for name in ("a.hdr", "b.exr", "c.exr"):
        np.testing.assert_allclose(read_radiance(tmp_path / name), light, rtol=0.01)


AP0 = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
BT2020 = (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329)
BT709 = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)


def written(path: Path, light: np.ndarray, xy: tuple[float, ...]) -> Path:
    """A picture that says its chromaticities."""
    if path.suffix == ".exr":
        OpenEXR.File({"chromaticities": xy}, {"RGB": light}).write(str(path))
        return path
    cv2.imwrite(str(path), light[..., ::-1])
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(first + b"\nPRIMARIES= " + " ".join(map(str, xy)).encode() + b"\n" + rest)
    return path


@pytest.mark.parametrize("name", ["a.exr", "a.hdr"])
@pytest.mark.parametrize("xy", [AP0, BT2020, BT709], ids=["ACES AP0", "BT.2020", "BT.709"])
def test_chromaticities_that_a_file_says_are_converted(tmp_path: Path, name: str, xy: tuple[float, ...]) -> None:
    colour = pytest.importorskip("colour")
    light = 0.5 + np.random.default_rng(1).random((9, 16, 3), np.float32)
    light[0] = 1.0  # white stays white
    own = colour.RGB_Colourspace("own", np.reshape(xy[:6], (3, 2)), np.array(xy[6:]))
    target = colour.RGB_Colourspace("BT.709", np.reshape(BT709[:6], (3, 2)), np.array(BT709[6:]))
    expected = np.maximum(colour.RGB_to_RGB(light, own, target, chromatic_adaptation_transform="Bradford"), 0)
    found = read_radiance(written(tmp_path / name, light, xy))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 if name == "a.exr" else 0.03)
    np.testing.assert_allclose(found[0], 1, atol=2e-4 if name == "a.exr" else 0.03)


@pytest.mark.parametrize("xy", [(0.64,) * 8, (0.3, 0, 0.3, 0.6, 0.15, 0.06, 0.3, 0.3)])
def test_chromaticities_of_no_light_are_refused(tmp_path: Path, xy: tuple[float, ...]) -> None:
    with pytest.raises(MediaError, match=r"a\.hdr says"):
        read_radiance(written(tmp_path / "a.hdr", np.ones((9, 16, 3), np.float32), xy))


def test_primaries_of_eight_zeros_say_nothing(tmp_path: Path) -> None:
    light = np.full((9, 16, 3), (0.25, 0.5, 1.0), np.float32)
    found = read_radiance(written(tmp_path / "a.hdr", light, (0,) * 8))
    np.testing.assert_allclose(found, light, rtol=0.01)


def test_primaries_that_are_not_eight_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="not eight numbers"):
        read_radiance(written(tmp_path / "a.hdr", np.ones((9, 16, 3), np.float32), (0.64, 0.33)))


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

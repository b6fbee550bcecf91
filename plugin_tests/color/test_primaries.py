"""Matrices between primaries against colour-science's, derived from the same chromaticities."""

from __future__ import annotations

import colour
import numpy as np
import pytest
import torch

from vsdslnet.color.h273 import Matrix, Primaries, Transfer
from vsdslnet.color.primaries import (
    BT709_LUMA,
    BT2020_LUMA,
    CHROMATICITIES,
    apply_matrix,
    convert,
    rgb_to_rgb,
    rgb_to_xyz,
)

SPACES = {
    Primaries.BT709: "ITU-R BT.709",
    Primaries.BT2020: "ITU-R BT.2020",
    Primaries.ST432_1: "P3-D65",
}


def oracle_rgb_to_xyz(primaries: Primaries) -> np.ndarray:
    space = colour.RGB_COLOURSPACES[SPACES[primaries]]
    return colour.normalised_primary_matrix(space.primaries, space.whitepoint)


@pytest.mark.parametrize("primaries", list(CHROMATICITIES))
def test_rgb_to_xyz_agrees_with_colour_science(primaries: Primaries) -> None:
    assert np.abs(rgb_to_xyz(primaries).numpy() - oracle_rgb_to_xyz(primaries)).max() < 1e-12


@pytest.mark.parametrize("source", list(CHROMATICITIES))
@pytest.mark.parametrize("target", list(CHROMATICITIES))
def test_rgb_to_rgb_keeps_white_and_agrees(source: Primaries, target: Primaries) -> None:
    matrix = rgb_to_rgb(source, target).numpy()
    oracle = np.linalg.inv(oracle_rgb_to_xyz(target)) @ oracle_rgb_to_xyz(source)
    assert np.abs(matrix - oracle).max() < 1e-12
    assert matrix.sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-12)


def test_bt709_to_bt2020_is_the_matrix_of_bt2087() -> None:
    published = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    ours = rgb_to_rgb(Primaries.BT709, Primaries.BT2020).numpy()
    assert np.abs(ours - np.array(published)).max() < 5.1e-5


@pytest.mark.parametrize(("primaries", "luma"), [(Primaries.BT709, BT709_LUMA), (Primaries.BT2020, BT2020_LUMA)])
def test_luma_weights_are_the_rounded_luminance_row(primaries: Primaries, luma: tuple[float, ...]) -> None:
    assert sum(luma) == pytest.approx(1, abs=1e-12)
    assert rgb_to_xyz(primaries)[1].tolist() == pytest.approx(luma, abs=6e-5)


def test_apply_matrix_is_a_matrix_product_over_the_channel_dimension() -> None:
    torch.manual_seed(0)
    planes = torch.rand(2, 5, 3, 4, 6, dtype=torch.float64)
    matrix = torch.rand(3, 3, dtype=torch.float64)
    expected = torch.einsum("ij,nfjhw->nfihw", matrix, planes)
    assert (apply_matrix(matrix, planes) - expected).abs().max() < 1e-14


def test_apply_matrix_keeps_fp32_inside_autocast() -> None:
    planes = torch.rand(3, 4, 4)
    matrix = rgb_to_rgb(Primaries.BT709, Primaries.BT2020)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = apply_matrix(matrix, planes)
    assert torch.equal(inside, apply_matrix(matrix, planes))


def test_out_of_gamut_light_stays_negative_and_returns() -> None:
    green = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).view(3, 1, 1)
    narrow = convert(green, Primaries.BT2020, Primaries.BT709)
    assert narrow.min() < -0.1
    assert (convert(narrow, Primaries.BT709, Primaries.BT2020) - green).abs().max() < 1e-12


def test_code_points_of_sdr_and_hdr10() -> None:
    assert (Primaries.BT709, Transfer.BT709, Matrix.BT709) == (1, 1, 1)
    assert (Primaries.BT2020, Transfer.PQ, Matrix.BT2020_NCL) == (9, 16, 9)
    assert Transfer.HLG == 18

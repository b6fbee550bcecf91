"""The analytic base and the plain conversion against an independent float64 transcription."""

from __future__ import annotations

import colour
import numpy as np
import pytest
import torch
from torch import Tensor

from vsdslnet.color.sdr_to_hdr import bt2446a_nits, bt2446a_pq, plain_nits, plain_pq

ONE_CODE = 1 / 65_535


def grid(side: int) -> np.ndarray:
    """All combinations of ``side`` levels a channel: (side³, 3), corners and greys included."""
    axis = np.linspace(0, 1, side)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def planes(colours: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(colours.T))[:, None, :]


def colours(picture: Tensor) -> np.ndarray:
    return picture[:, 0].T.double().numpy()


def oracle_709_to_2020(linear: np.ndarray) -> np.ndarray:
    spaces = [colour.RGB_COLOURSPACES[name] for name in ("ITU-R BT.709", "ITU-R BT.2020")]
    narrow, wide = (colour.normalised_primary_matrix(s.primaries, s.whitepoint) for s in spaces)
    return linear @ (np.linalg.inv(wide) @ narrow).T


def oracle_plain_pq(sdr: np.ndarray) -> np.ndarray:
    return colour.models.eotf_inverse_ST2084(np.maximum(203 * oracle_709_to_2020(sdr**2.4), 0))


def oracle_bt2446a_pq(sdr: np.ndarray) -> np.ndarray:
    """Table 4 of BT.2446-1, step by step, with Y'CbCr written out as the table does."""
    rgb = oracle_709_to_2020(sdr**2.4) ** (1 / 2.4)
    luma = rgb @ np.array([0.2627, 0.6780, 0.0593])
    cb, cr = (rgb[:, 2] - luma) / 1.8814, (rgb[:, 0] - luma) / 1.4746
    code = 255 * luma
    exponent = np.where(
        code <= 70,
        1.8712e-5 * code**2 - 2.7334e-3 * code + 1.3141,
        2.8305e-6 * code**2 - 7.4622e-4 * code + 1.2528,
    )
    hdr_luma = code**exponent
    scale = np.where(luma > 0, 1.075 * hdr_luma / np.where(luma > 0, luma, 1), 1)
    cb, cr = cb * scale, cr * scale
    r = hdr_luma + 1.4746 * cr
    g = hdr_luma - 0.16455 * cb - 0.57135 * cr
    b = hdr_luma + 1.8814 * cb
    hdr = np.clip(np.stack([r, g, b], axis=-1) / 1000, 0, 1)
    return colour.models.eotf_inverse_ST2084(1000 * hdr**2.4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_plain_conversion_is_within_one_code_on_a_3d_grid(dtype: torch.dtype) -> None:
    sdr = grid(33)
    assert np.abs(colours(plain_pq(planes(sdr).to(dtype))) - oracle_plain_pq(sdr)).max() <= ONE_CODE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bt2446a_is_within_one_code_on_a_3d_grid(dtype: torch.dtype) -> None:
    sdr = grid(33)
    # The table prints the green equation with five digits, worth up to half a code.
    assert np.abs(colours(bt2446a_pq(planes(sdr).to(dtype))) - oracle_bt2446a_pq(sdr)).max() <= ONE_CODE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_grey_is_within_one_code(dtype: torch.dtype) -> None:
    sdr = np.repeat(np.arange(65_536)[:, None] / 65_535, 3, axis=1)
    assert np.abs(colours(bt2446a_pq(planes(sdr).to(dtype))) - oracle_bt2446a_pq(sdr)).max() <= ONE_CODE
    assert np.abs(colours(plain_pq(planes(sdr).to(dtype))) - oracle_plain_pq(sdr)).max() <= ONE_CODE


@pytest.mark.parametrize(("levels", "dtype"), [(256, torch.float32), (1024, torch.float32), (65_536, torch.float64)])
def test_a_grey_ramp_never_darkens(levels: int, dtype: torch.dtype) -> None:
    ramp = torch.linspace(0, 1, levels, dtype=dtype).expand(3, 1, levels)
    for formula in (bt2446a_pq, plain_pq):
        assert (formula(ramp).diff(dim=-1) >= 0).all()


def test_fp32_noise_on_the_finest_ramp_stays_below_a_code() -> None:
    ramp = torch.linspace(0, 1, 65_536).expand(3, 1, 65_536)
    for formula in (bt2446a_pq, plain_pq):
        assert formula(ramp).diff(dim=-1).min() > -ONE_CODE


def test_black_is_black_and_white_is_where_it_should_be() -> None:
    black, white = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)
    assert torch.equal(bt2446a_nits(black), torch.zeros(3, 1, 1))
    assert torch.equal(bt2446a_pq(black), torch.zeros(3, 1, 1))
    assert bt2446a_nits(white).flatten().tolist() == pytest.approx([1000] * 3, abs=1)
    assert plain_nits(white).flatten().tolist() == pytest.approx([203] * 3, abs=1e-3)


def test_results_stay_within_black_and_peak_for_any_input() -> None:
    torch.manual_seed(0)
    sdr = torch.rand(3, 64, 64) * 3 - 1
    nits = bt2446a_nits(sdr)
    assert nits.min() >= 0
    assert nits.max() <= 1000
    assert torch.equal(nits, bt2446a_nits(sdr.clamp(0, 1)))


@pytest.mark.parametrize("formula", [bt2446a_pq, plain_pq])
def test_gradients_are_finite_at_black_white_knee_and_primaries(formula: object) -> None:
    colours_ = [
        [0, 0, 0],
        [1, 1, 1],
        [70 / 255] * 3,
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
        [1e-6, 0, 0],
        [0, 0, 1e-3],
    ]
    sdr = torch.tensor(colours_).T[:, None].contiguous().requires_grad_()
    formula(sdr).sum().backward()  # type: ignore[operator]
    assert sdr.grad is not None
    assert torch.isfinite(sdr.grad).all()

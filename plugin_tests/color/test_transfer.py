"""Transfer functions against colour-science and the figures of their standards."""

from __future__ import annotations

from collections.abc import Callable

import colour
import numpy as np
import pytest
import torch
from torch import Tensor

from plugin_tests.reliability.conformance.colour_numbers import (
    SIXTEEN_BIT,
    TEN_BIT,
    limited_code,
    pq_error_codes,
    wrong_codes,
)
from vsdslnet.color import transfer
from vsdslnet.color.transfer import nits_to_pq, pq_scalar, pq_to_nits

ALL_CODES = torch.arange(65_536, dtype=torch.float64) / 65_535
SMALL_STEP = 1 / 65_535


def test_the_landmarks_have_the_codes_of_the_standards() -> None:
    assert wrong_codes() == []
    for nits, code in TEN_BIT.items():
        assert limited_code(float(nits_to_pq(torch.tensor(float(nits)))), 10) == code, "in fp32"
    for nits, (_, full) in SIXTEEN_BIT.items():
        assert abs(float(nits_to_pq(torch.tensor(float(nits)))) * 65_535 - full) <= 1, "in fp32"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_pq_code_is_within_one_code_of_colour_science_both_ways(dtype: torch.dtype) -> None:
    assert pq_error_codes(dtype) <= 1


def test_pq_round_trip_in_fp32_is_closer_than_one_code() -> None:
    codes = ALL_CODES.float()
    assert (nits_to_pq(pq_to_nits(codes)) - codes).abs().max() < SMALL_STEP


def test_pq_never_decreases_over_all_codes() -> None:
    nits = pq_to_nits(ALL_CODES)
    assert (nits.diff() > 0).all()
    assert (nits_to_pq(nits).diff() > 0).all()
    # fp32 carries 0.41 of a 16-bit code of noise: no step may go back by a whole one.
    assert nits_to_pq(pq_to_nits(ALL_CODES.float())).diff().min() > -SMALL_STEP


def test_pq_scalar_agrees_with_the_tensor_form() -> None:
    for nits in (1e-3, 0.5, 203.0, 9_999.0):
        tensor = torch.tensor(nits, dtype=torch.float64)
        assert pq_scalar(nits) == pytest.approx(float(nits_to_pq(tensor)), abs=1e-12)
    assert pq_scalar(0.0) == 0.0
    assert pq_scalar(-5.0) == 0.0


def test_negative_light_is_black() -> None:
    light = torch.tensor([-100.0, -1e-9, 0.0])
    for curve in (nits_to_pq, transfer.linear_to_bt1886, transfer.linear_to_srgb):
        assert torch.equal(curve(light), torch.zeros(3))


def test_pq_signal_outside_its_range_is_clamped() -> None:
    assert torch.equal(pq_to_nits(torch.tensor([-1.0, 0.0])), torch.zeros(2))
    assert pq_to_nits(torch.tensor([1.0, 1.5])).numpy() == pytest.approx([10_000, 10_000], rel=1e-5)


CURVES: list[tuple[Callable[[Tensor], Tensor], Callable[..., np.ndarray]]] = [
    (transfer.srgb_to_linear, colour.models.eotf_sRGB),
    (transfer.linear_to_srgb, colour.models.eotf_inverse_sRGB),
    (transfer.hlg_to_scene, colour.models.oetf_inverse_BT2100_HLG),
    (transfer.bt1886_to_linear, colour.models.eotf_BT1886),
    (transfer.linear_to_bt1886, colour.models.eotf_inverse_BT1886),
]


@pytest.mark.parametrize(("ours", "oracle"), CURVES, ids=lambda f: getattr(f, "__name__", ""))
def test_curve_agrees_with_colour_science_over_all_codes(
    ours: Callable[[Tensor], Tensor], oracle: Callable[..., np.ndarray]
) -> None:
    expected = oracle(ALL_CODES.numpy())
    assert np.abs(ours(ALL_CODES).numpy() - expected).max() < 2e-7
    assert np.abs(ours(ALL_CODES.float()).double().numpy() - expected).max() * 65_535 < 0.5


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (transfer.srgb_to_linear, transfer.linear_to_srgb),
        (transfer.bt1886_to_linear, transfer.linear_to_bt1886),
    ],
    ids=["srgb", "bt1886"],
)
def test_curve_inverts(there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> None:
    assert (back(there(ALL_CODES)) - ALL_CODES).abs().max() * 65_535 < 1


@pytest.mark.parametrize(
    "curve",
    [
        nits_to_pq,
        pq_to_nits,
        transfer.srgb_to_linear,
        transfer.linear_to_srgb,
        transfer.hlg_to_scene,
        transfer.bt1886_to_linear,
        transfer.linear_to_bt1886,
    ],
    ids=lambda f: f.__name__,
)
def test_gradients_are_finite_everywhere(curve: Callable[[Tensor], Tensor]) -> None:
    spots = [-1.0, -1e-12, 0.0, 1e-12, 1e-9, 1e-8, 1e-4, 0.0031308, 0.04045, 1 / 12, 0.5, 0.999999, 1.0, 1.2]
    x = torch.tensor(spots, requires_grad=True)
    curve(x).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()

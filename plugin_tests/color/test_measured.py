"""The measured base: its curve against a float64 transcription, its greys, hues, ends and gradients."""

from __future__ import annotations

import colour
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from plugin_tests.color.test_sdr_to_hdr import ONE_CODE, colours, grid, oracle_709_to_2020, planes
from vsdslnet.color.measured import MEASURED, ToneCurve, curve_nits, expand, measured_nits, measured_pq

PQ = colour.models.eotf_inverse_ST2084
NITS = colour.models.eotf_ST2084
DECODE = colour.models.eotf_sRGB


def oracle_curve_nits(level: np.ndarray, curve: ToneCurve = MEASURED) -> np.ndarray:
    """The docstrings of ``ToneCurve`` and ``curve_nits``, step by step."""

    def unbounded(x: np.ndarray) -> np.ndarray:
        stops = curve.shadow_stops + curve.highlight_stops / (1 + np.exp(-(x - curve.centre) / curve.width))
        return 203 * DECODE(x) * x**2 / (x**2 + curve.toe**2) * 2**stops

    raw, top, peak = PQ(unbounded(level)), PQ(unbounded(np.array(1.0))), PQ(1000)
    if top <= peak:
        return np.where(level > 0, NITS(raw * peak / top), 0)
    knee = 1.5 * peak - 0.5 * top
    t = np.clip((raw - knee) / (top - knee), 0, 1)
    hermite = (
        (1 + 2 * t) * (1 - t) ** 2 * knee
        + t * (1 - t) ** 2 * (top - knee)
        + t**2 * (3 - 2 * t) * peak
        + t**2 * (t - 1) * 0.3 * (top - knee)
    )
    return np.where(level > 0, NITS(np.where(raw < knee, raw, hermite)), 0)


def oracle_pq(sdr: np.ndarray) -> np.ndarray:
    linear = oracle_709_to_2020(DECODE(sdr))
    luminance = linear @ np.array([0.2627, 0.6780, 0.0593])
    level = colour.models.eotf_inverse_sRGB(luminance)
    gain = np.where(luminance > 0, oracle_curve_nits(level) / np.where(luminance > 0, luminance, 1), 0)
    nits = linear * gain[:, None]
    return PQ(np.maximum(nits * np.minimum(1, 1000 / np.maximum(nits.max(axis=1, keepdims=True), 1e-9)), 0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_within_one_code_on_a_3d_grid(dtype: torch.dtype) -> None:
    sdr = grid(33)
    assert np.abs(colours(measured_pq(planes(sdr).to(dtype))) - oracle_pq(sdr)).max() <= ONE_CODE


def test_every_grey_is_within_one_code_and_no_step_falls() -> None:
    sdr = np.repeat(np.arange(65_536)[:, None] / 65_535, 3, axis=1)
    got = colours(measured_pq(planes(sdr).float()))
    assert np.abs(got - oracle_pq(sdr)).max() <= ONE_CODE
    assert np.diff(got[:, 0]).min() > -ONE_CODE


@pytest.mark.parametrize("levels", [256, 1024])
def test_every_step_of_a_ramp_rises_by_a_code_of_ten_bits_or_a_fair_part_of_it(levels: int) -> None:
    greys = torch.linspace(0, 1, levels, dtype=torch.float64).expand(3, 1, levels)
    assert measured_pq(greys).diff(dim=-1).min() * 876 > 0.25 * 256 / levels


def test_the_levels_that_pairs_were_measured_at() -> None:
    """Medians of 32 pairs, each source weighing the same, to the fit's own 6 codes of 10 bits."""
    levels = torch.tensor([40, 64, 96, 128, 160, 192, 208, 224, 240]) / 255
    medians = np.array([5.9, 13.2, 31.2, 66.2, 123, 237, 375, 596, 900])
    assert np.abs(PQ(curve_nits(levels).numpy()) - PQ(medians)).max() * 876 < 6


def test_black_is_black_and_white_is_a_thousand_nits() -> None:
    assert torch.equal(measured_nits(torch.zeros(3, 1, 1)), torch.zeros(3, 1, 1))
    assert torch.equal(measured_pq(torch.zeros(3, 1, 1)), torch.zeros(3, 1, 1))
    assert measured_nits(torch.ones(3, 1, 1)).flatten().tolist() == pytest.approx([1000] * 3, abs=0.1)


def test_results_stay_within_black_and_peak_for_any_input() -> None:
    torch.manual_seed(0)
    sdr = torch.rand(3, 64, 64) * 3 - 1
    nits = measured_nits(sdr)
    assert nits.min() >= 0
    assert nits.max() <= 1000
    assert torch.equal(nits, measured_nits(sdr.clamp(0, 1)))


def test_hue_and_saturation_are_those_of_the_sdr_colour() -> None:
    torch.manual_seed(1)
    sdr = 0.1 + 0.9 * torch.rand(3, 40, 40, dtype=torch.float64)
    before = oracle_709_to_2020(DECODE(sdr.reshape(3, -1).T.numpy()))
    after = measured_nits(sdr).reshape(3, -1).T.numpy()
    assert np.allclose(after / after.sum(axis=1, keepdims=True), before / before.sum(axis=1, keepdims=True), atol=1e-9)


@given(
    shadow=st.floats(-2, 2),
    highlight=st.floats(0, 6),
    centre=st.floats(0.5, 1.1),
    width=st.floats(0.03, 0.4),
    toe=st.floats(1e-3, 0.1),
)
def test_any_grade_s_curve_is_monotone_from_black_to_the_peak(
    shadow: float, highlight: float, centre: float, width: float, toe: float
) -> None:
    curve = ToneCurve(shadow, highlight, centre, width, toe)
    nits = curve_nits(torch.linspace(0, 1, 513, dtype=torch.float64), curve)
    assert nits[0] == 0
    assert float(nits[-1]) == pytest.approx(1000, abs=0.1)
    assert nits.diff().min() >= -1e-9


def test_gradients_are_finite_at_black_white_and_primaries() -> None:
    corners = [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1e-6, 0, 0], [0, 0, 1e-3]]
    sdr = torch.tensor(corners, dtype=torch.float32).T[:, None].contiguous().requires_grad_()
    measured_pq(sdr).sum().backward()
    assert sdr.grad is not None
    assert torch.isfinite(sdr.grad).all()


def test_a_brighter_curve_is_brighter_everywhere() -> None:
    sdr: Tensor = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(2))
    brighter = MEASURED._replace(shadow_stops=MEASURED.shadow_stops + 0.5)
    assert (expand(sdr, brighter) >= expand(sdr) - 1e-3).all()

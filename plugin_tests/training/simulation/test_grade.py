"""The simulated grade: anchored, bounded, black stays black."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import BT2020_LUMA, convert
from vsdslnet.training.config.dataset import GradeConfig
from vsdslnet.training.simulation.grade import Grade, apply_grade, exposure_gain, luma_of, sample_grade, shoulder

NEUTRAL = Grade(
    anchor="logmean",
    anchor_nits=24.0,
    quantile=0.95,
    contrast=1.0,
    pivot_nits=60.0,
    saturation=1.0,
    gamut="bt709",
    gamut_amount=0.0,
    cast=(1.0, 1.0, 1.0),
    crush_nits=0.0,
    knee=0.5,
    peak_nits=1000.0,
    per_channel=False,
    bars=1.0,
    style="normal",
)


def some_light(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 40, 60, generator=generator).mul(1.2).exp()


def test_the_log_mean_lands_on_its_anchor() -> None:
    light = some_light()
    nits = apply_grade(light, NEUTRAL, gain=exposure_gain(light, NEUTRAL))
    assert float(luma_of(nits, BT2020_LUMA).log().mean().exp()) == pytest.approx(24.0, rel=0.03)


def test_the_white_quantile_lands_on_its_anchor() -> None:
    grade = msgspec.structs.replace(NEUTRAL, anchor="white", anchor_nits=203.0, peak_nits=4000.0)
    light = some_light()
    # The quantile is measured on a third of the pixels.
    nits = apply_grade(light, grade, gain=exposure_gain(light, grade))
    assert float(luma_of(nits, BT2020_LUMA).flatten()[::3].quantile(0.95)) == pytest.approx(203.0, rel=0.01)


def test_a_neutral_grade_below_the_knee_is_only_a_change_of_primaries() -> None:
    light = some_light().clamp(max=3)
    expected = convert(light * 10, Primaries.BT709, Primaries.BT2020)
    assert torch.allclose(apply_grade(light, NEUTRAL, gain=10.0), expected, rtol=1e-4)


def test_any_drawn_grade_is_finite_within_its_peak_and_leaves_black_black() -> None:
    rng = np.random.default_rng(1)
    light = some_light()
    light[:, :5] = 0
    light[:, 5, 5] = 1e6
    for _ in range(200):
        grade = sample_grade(rng, GradeConfig())
        nits = apply_grade(light, grade, gain=exposure_gain(light, grade))
        assert torch.isfinite(nits).all()
        assert float(nits.min()) >= 0
        assert float(nits.max()) <= grade.peak_nits * (1 + 1e-5)
        assert float(nits[:, :5].max()) == 0


def test_the_shoulder_starts_with_slope_one_rises_and_ends_below_the_peak() -> None:
    ramp = torch.linspace(0, 5000, 5001, dtype=torch.float64)
    bent = shoulder(ramp, knee_nits=400.0, peak_nits=1000.0)
    assert torch.equal(bent[:401], ramp[:401])
    assert float(bent[401] - bent[400]) == pytest.approx(1, abs=2e-3)
    assert (bent.diff() > 0).all()
    assert float(bent[-1]) <= 1000


def test_stretching_primaries_leaves_grey_alone_and_colours_outside_bt709() -> None:
    grade = msgspec.structs.replace(NEUTRAL, gamut="bt2020", gamut_amount=1.0)
    grey = apply_grade(torch.full((3, 1, 1), 2.0), grade, gain=10.0)
    assert torch.allclose(grey, torch.full((3, 1, 1), 20.0), rtol=1e-4)
    red = apply_grade(torch.tensor([2.0, 0.1, 0.1]).reshape(3, 1, 1), grade, gain=10.0)
    assert float(convert(red, Primaries.BT2020, Primaries.BT709).min()) < 0


def test_the_recipes_shares_are_drawn() -> None:
    rng = np.random.default_rng(2)
    config = GradeConfig(bars_share=0.3, night_share=0.2, bars_lowkey_share=0)
    grades = [sample_grade(rng, config) for _ in range(2000)]
    assert np.mean([grade.bars < 1 for grade in grades]) == pytest.approx(0.3, abs=0.04)
    assert np.mean([grade.style == "night" for grade in grades]) == pytest.approx(0.2, abs=0.04)
    assert np.mean([grade.gamut != "bt709" for grade in grades]) == pytest.approx(0.45, abs=0.04)

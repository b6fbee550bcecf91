"""Levels of pairs and the curve fitted to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vsdslnet.color.measured import MEASURED, curve_nits, expand
from vsdslnet.color.transfer import nits_to_pq
from vsdslnet.training.pointwise.base_curve import (
    ELSEWHERE_NITS,
    ELSEWHERE_SOURCES,
    LEVELS,
    fit_curve,
    levels_of,
    mean_levels,
)


def picture() -> torch.Tensor:
    """A ramp finer than codes: no pixel lies on the border of a level's neighbourhood, where rounding decides."""
    ramp = torch.linspace(0, 1, 1001).repeat(50, 1)
    return torch.stack([ramp, ramp, ramp])


def test_levels_are_those_of_the_curve_that_made_the_master() -> None:
    levels = levels_of(picture(), nits_to_pq(expand(picture())))
    assert levels == pytest.approx(curve_nits(torch.tensor(LEVELS) / 255).numpy(), rel=0.01)


def test_a_level_that_hardly_occurs_is_not_measured() -> None:
    dark = 0.5 * picture()
    levels = levels_of(dark, nits_to_pq(expand(dark)))
    assert np.isnan(levels[-1])
    assert not np.isnan(levels[:3]).any()


def test_every_source_weighs_the_same_however_many_pictures_it_has() -> None:
    bright, dark = (np.array(ELSEWHERE_NITS) * factor for factor in (2.0, 0.5))
    mean, error_stops = mean_levels({"diligent": [bright] * 50, "lazy": [dark]})
    assert mean == pytest.approx(ELSEWHERE_NITS)
    assert error_stops == pytest.approx(np.sqrt(2) / np.sqrt(ELSEWHERE_SOURCES + 2))


@pytest.mark.parametrize("shadow", [0.2, 0.411, 0.7])
def test_a_curve_is_found_again(shadow: float) -> None:
    """So many sources that those elsewhere hardly count."""
    wanted = MEASURED._replace(shadow_stops=shadow)
    levels = curve_nits(torch.tensor(LEVELS, dtype=torch.float64) / 255, wanted).numpy()
    found = fit_curve({str(n): [levels] for n in range(4000)})
    codes = torch.linspace(0, 1, 64, dtype=torch.float64)
    assert (nits_to_pq(curve_nits(codes, found)) - nits_to_pq(curve_nits(codes, wanted))).abs().max() * 876 < 2

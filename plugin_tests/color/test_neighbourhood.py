"""The neighbourhood up to its edges, and the measured base whose gain follows it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vsdslnet.color.measured import (
    MEASURED,
    ToneCurve,
    _formula_gain_nits,
    _gain_nits,
    level_of,
    measured_nits,
    measured_pq,
)
from vsdslnet.color.neighbourhood import neighbourhood_lines, surrounding
from vsdslnet.color.primaries import luminance_of
from vsdslnet.color.transfer import pq_to_nits


def around(level: Tensor, radius: int = 3) -> Tensor:
    return surrounding(level, neighbourhood_lines(level, radius))


def lines_of(sdr: Tensor, radius: int = 3) -> Tensor:
    return neighbourhood_lines(level_of(sdr), radius)


def grey(level: Tensor) -> Tensor:
    return level.expand(-1, 3, -1, -1)


@pytest.mark.parametrize("radius", [1, 3])
def test_it_is_the_guided_filter_pixel_by_pixel(radius: int) -> None:
    generator = torch.Generator().manual_seed(0)
    level = torch.rand((1, 1, 9, 13), generator=generator)
    picture = level[0, 0].double().numpy()

    def mean(planes: np.ndarray) -> np.ndarray:
        out = np.empty_like(planes)
        for y, x in np.ndindex(planes.shape):
            out[y, x] = planes[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1].mean()
        return out

    variance = mean(picture**2) - mean(picture) ** 2
    slope = variance / (variance + 0.01)
    expected = mean(slope) * picture + mean(mean(picture) * (1 - slope))
    np.testing.assert_allclose(around(level, radius)[0, 0], expected, atol=1e-5)


def test_an_edge_stays_where_it_is() -> None:
    level = torch.full((1, 1, 64, 64), 0.1)
    level[..., 32:] = 0.9
    assert (around(level) - level).abs().max() < 0.06


def test_even_areas_come_out_as_from_the_base_alone() -> None:
    sdr = torch.linspace(0, 1, 1024).view(-1, 1, 1, 1).expand(-1, 3, 16, 16)
    assert (measured_pq(sdr, lines_of(sdr)) - measured_pq(sdr)).abs().max() < 1e-5


def test_where_the_neighbourhood_is_the_pixel_itself_nothing_changes() -> None:
    sdr = torch.rand((1, 3, 40, 40), generator=torch.Generator().manual_seed(1))
    lines = torch.stack([torch.ones(40, 40), torch.zeros(40, 40)])[None]
    # The base alone is the less exact of the two in fp32.
    assert (measured_pq(sdr, lines) - measured_pq(sdr.double())).abs().max() < 1e-6


def test_texture_keeps_the_contrast_of_the_sdr_picture() -> None:
    """Where the curve is steeper than a gain would be, a fine texture is not stretched with it."""
    texture = 0.75 + 0.02 * torch.randn((1, 1, 96, 96), generator=torch.Generator().manual_seed(0))
    sdr = grey(texture)
    local, curve = (pq[..., 24:-24, 24:-24].std() for pq in (measured_pq(sdr, lines_of(sdr)), measured_pq(sdr)))
    assert local < 0.75 * curve


def test_stars_do_not_go_out_in_a_black_sky() -> None:
    level = torch.zeros(1, 1, 64, 64)
    level[..., 20, 20], level[..., 40, 40] = 0.9, 0.3
    light = measured_nits(grey(level), lines_of(grey(level)))[0, 0]
    assert light[20, 20] > 150
    assert light[40, 40] > 10
    assert light[0, 0] == 0


def test_within_a_neighbourhood_brighter_stays_brighter() -> None:
    lines = torch.tensor([0.3, 0.4]).view(1, 2, 1, 1).expand(-1, -1, 1, 1024)
    light = measured_nits(grey(torch.linspace(0, 1, 1024).view(1, 1, 1, -1)), lines)[0, 0, 0]
    assert (light.diff() > 0).all()
    assert light[0] == 0
    assert light[-1] <= 1000


def test_hue_and_saturation_stay() -> None:
    sdr = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(2))
    alone, local = (pq_to_nits(pq) for pq in (measured_pq(sdr), measured_pq(sdr, lines_of(sdr))))
    first, second = (light / luminance_of(light).clamp(min=1e-3) for light in (alone, local))
    assert (first - second).abs().max() < 2e-3
    assert local.max() <= 1000


def test_gradients_are_finite_everywhere() -> None:
    sdr = torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(3))
    sdr[..., :4, :] = 0
    sdr.requires_grad_(True)
    measured_pq(sdr, lines_of(sdr)).sum().backward()
    assert sdr.grad is not None
    assert torch.isfinite(sdr.grad).all()


@pytest.mark.parametrize("curve", [MEASURED, MEASURED._replace(shadow_stops=1.0)])
def test_the_gain_s_table_is_its_formula(curve: ToneCurve) -> None:
    level = torch.rand(20_000, generator=torch.Generator().manual_seed(2)).requires_grad_()
    read, exact = _gain_nits(level, curve), _formula_gain_nits(level.double(), curve)
    assert ((read - exact) / exact).abs().max() < 3e-6
    ends = torch.tensor([0.0, 1.0])
    assert torch.allclose(_gain_nits(ends, curve).double(), _formula_gain_nits(ends.double(), curve), rtol=1e-6)
    slope, exact_slope = (torch.autograd.grad(gain.sum(), level, retain_graph=True)[0] for gain in (read, exact))
    assert (slope - exact_slope).abs().max() < 1e-2 * exact_slope.abs().max()

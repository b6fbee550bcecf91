"""The baselines do what their publications say."""

from __future__ import annotations

import pytest
import torch

from vsdslnet.color.ictcp import nits_to_ictcp
from vsdslnet.color.sdr_to_hdr import plain_nits
from vsdslnet.color.transfer import nits_to_pq, pq_scalar, pq_to_nits
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.evaluation.formulas import (
    FORMULAS,
    bt2446c_nits,
    neighbourhood_base_nits,
    spline_curve,
    spline_pq,
)


def grey(levels: int = 256) -> torch.Tensor:
    return torch.linspace(0, 1, levels, dtype=torch.float64).expand(3, 1, levels)


@pytest.mark.parametrize("name", list(FORMULAS))
def test_grey_rises_from_black_and_stays_grey(name: str) -> None:
    nits = pq_to_nits(FORMULAS[name](grey()))
    assert nits[:, 0, 0].max() < 0.01
    assert (nits[:, 0].diff(dim=-1) >= -1e-6).all()
    assert nits.max() <= 1000.001
    torch.testing.assert_close(nits[0], nits[2], rtol=2e-3, atol=1e-3)


def test_method_c_undoes_the_reports_curve() -> None:
    hdr = bt2446c_nits(grey())[1, 0]
    sdr_nits = 100 * grey()[1, 0] ** 2.4
    knee = 58.535 / 0.83802
    above = 15.09968 * torch.log((hdr / knee).clamp(min=1) - 0.74204) + 78.99439
    forward = torch.where(hdr < knee, 0.83802 * hdr, above)
    torch.testing.assert_close(forward, sdr_nits, atol=2e-2, rtol=0)
    reference_white = bt2446c_nits(torch.full((3, 1, 1), 0.96, dtype=torch.float64))
    # The report's own anchor: 96 % SDR is HDR reference white.
    assert float(reference_white[0]) == pytest.approx(203, abs=1.0)


def test_spline_keeps_ends_and_meets_its_pivot_smoothly() -> None:
    top = pq_scalar(203)
    x = torch.linspace(0, top, 2001, dtype=torch.float64)
    y = spline_curve(x)
    assert float(y[0]) == pytest.approx(0, abs=1e-9)
    assert float(y[-1]) == pytest.approx(pq_scalar(1000), abs=1e-9)
    slope = y.diff() / x.diff()
    assert (slope > 0).all()
    assert slope.diff().abs().max() < 0.01
    # The curvature vanishes at the peak.
    assert abs(float(slope[-1] - slope[-2])) < 1e-5


def test_spline_lowers_chroma_where_it_raises_brightness() -> None:
    red = torch.tensor([0.8, 0.2, 0.2], dtype=torch.float64).reshape(3, 1, 1)
    before, after = nits_to_ictcp(plain_nits(red)), nits_to_ictcp(pq_to_nits(spline_pq(red)))
    assert after[0] > before[0]
    assert 0 < after[2] < before[2]


def test_the_neighbourhoods_base_is_that_of_a_network_without_corrections() -> None:
    sdr = torch.rand((3, 90, 161), generator=torch.Generator().manual_seed(4))
    network = DSLNet(DSLNetConfig(features=4, radius=0, gain_radius=3))
    with torch.no_grad():
        expected = network(sdr[None, None])[0]
    assert (nits_to_pq(neighbourhood_base_nits(sdr)) - expected).abs().max() < 1e-5

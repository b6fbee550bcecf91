"""Measures against references computed another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vsdslnet.color.transfer import nits_to_pq, pq_scalar, pq_to_nits
from vsdslnet.training.evaluation import metrics

pytest.importorskip("piq")


def picture(seed: int = 0, size: tuple[int, int] = (48, 64)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 3, 6, 8), generator=generator)
    return 0.1 + 0.6 * torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")[0]


def test_delta_e_agrees_with_colour_science() -> None:
    colour = pytest.importorskip("colour")
    a, b = picture(0), picture(1)
    ictcp = [
        colour.RGB_to_ICtCp(pq_to_nits(x.double()).movedim(0, -1).numpy(), method="ITU-R BT.2100-2 PQ") for x in (a, b)
    ]
    expected = float(np.mean(colour.difference.delta_E_ITP(*ictcp)))
    assert metrics.delta_e_mean(a, b) == pytest.approx(expected, rel=2e-4)


def test_psnr_of_a_known_offset() -> None:
    a = picture()
    assert metrics.psnr_db(a + 0.01, a) == pytest.approx(40.0, abs=1e-3)
    assert metrics.psnr_db(a, a) == math.inf


def test_light_above_1000_nits_counts_as_1000() -> None:
    bright = torch.full((3, 16, 16), pq_scalar(4000))
    assert metrics.psnr_db(bright, torch.full_like(bright, pq_scalar(1000))) == math.inf
    assert metrics.delta_e_mean(bright, torch.full_like(bright, pq_scalar(1000))) < 1e-5


def test_sr_sim_is_one_for_equal_pictures_and_falls_with_structure_lost() -> None:
    a = picture(size=(96, 160))
    noise = 0.1 * torch.randn(a.shape, generator=torch.Generator().manual_seed(3))
    assert metrics.sr_sim(a, a) == pytest.approx(1.0, abs=1e-5)
    assert metrics.sr_sim((a + noise).clamp(0, 0.7), a) < 0.97


def test_exposure_and_highlights_read_the_stops_that_were_applied() -> None:
    nits = torch.linspace(2, 450, 64 * 48).reshape(1, 48, 64).expand(3, 48, 64)
    half_up = nits_to_pq(nits * 2**0.5)
    measured = metrics.fidelity(half_up, nits_to_pq(nits))
    assert measured["exposure_stops"] == pytest.approx(0.5, abs=1e-3)
    assert measured["highlight_error_stops"] == pytest.approx(0.5, abs=1e-3)
    assert measured["highlight_shift_stops"] == pytest.approx(0.5, abs=1e-3)
    down = metrics.fidelity(nits_to_pq(nits / 2), nits_to_pq(nits))
    assert down["highlight_shift_stops"] == pytest.approx(-1.0, abs=1e-3)
    assert down["highlight_error_stops"] == pytest.approx(1.0, abs=1e-3)


def test_exposure_of_a_few_wrong_highlights_stays_zero() -> None:
    nits = torch.full((3, 40, 40), 50.0)
    out = nits.clone()
    out[:, :5] = 900
    assert metrics.exposure_shift_stops(nits_to_pq(out), nits_to_pq(nits)) == pytest.approx(0, abs=1e-4)


def test_pictures_without_highlights_have_no_highlight_error_and_stay_out_of_the_mean() -> None:
    dark = nits_to_pq(torch.full((3, 32, 32), 20.0))
    error, shift = metrics.highlight_error_stops(dark, dark)
    assert math.isnan(error) and math.isnan(shift)
    mean = metrics.mean_by_name([{"highlight": error}, {"highlight": 0.25}, {"highlight": 0.75}])
    assert mean == {"highlight": 0.5}


def test_only_colours_outside_bt709_are_counted_outside() -> None:
    from vsdslnet.color.sdr_to_hdr import plain_pq

    corners = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=torch.float32)
    inside = plain_pq(corners.T.reshape(3, 2, 2))
    assert metrics.share_outside_bt709(inside) == 0
    pure_2020 = nits_to_pq(203 * corners.T.reshape(3, 2, 2))
    assert metrics.share_outside_bt709(pure_2020) == pytest.approx(0.75)


@pytest.mark.parametrize(("nits", "code"), [(26, 397), (100, 509), (203, 573), (1000, 723), (10000, 940)])
def test_luminance_codes_are_ten_bit_limited_codes(nits: float, code: int) -> None:
    grey = nits_to_pq(torch.full((3, 1, 1), float(nits), dtype=torch.float64))
    assert round(64 + float(metrics.luminance_codes(grey))) == code

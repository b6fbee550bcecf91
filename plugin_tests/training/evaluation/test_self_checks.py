"""Each check passes a good converter and catches a bad one."""

from __future__ import annotations

import pytest
import torch

from vsdslnet.color.measured import measured_pq
from vsdslnet.color.sdr_to_hdr import plain_pq
from vsdslnet.training.evaluation import self_checks

RADIUS = 1


def formula(window: torch.Tensor) -> torch.Tensor:
    return measured_pq(window[RADIUS])


def test_banding_counts_falls_and_sizes() -> None:
    found = self_checks.banding(torch.tensor([0.0, 1.0, 3.5, 3.0, 2.98, 4.0]))
    assert found["reversals"] == 1
    assert found["largest_fall_codes"] == pytest.approx(0.5)
    assert found["largest_rise_codes"] == pytest.approx(2.5)


def test_the_formula_has_no_reversals_and_a_wavy_one_has() -> None:
    assert self_checks.grey_ramp_flat(formula, RADIUS, levels=256)["reversals"] == 0
    assert self_checks.grey_ramp_picture(formula, RADIUS, levels=1024)["reversals"] == 0

    def wavy(window: torch.Tensor) -> torch.Tensor:
        sdr = window[RADIUS]
        return measured_pq(sdr) + 0.01 * torch.sin(120 * sdr)

    assert self_checks.grey_ramp_flat(wavy, RADIUS, levels=256)["reversals"] > 5
    assert self_checks.grey_ramp_picture(wavy, RADIUS, levels=None)["largest_fall_codes"] > 0.1


def test_lifted_black_and_bars_are_seen() -> None:
    assert max(self_checks.black(formula, RADIUS).values()) < 0.01
    lifted = self_checks.black(lambda w: formula(w).clamp(min=0.06), RADIUS)
    assert lifted["black_nits"] > 0.05
    # Grey bars only: black frames stay black, but a bright picture between bars lights them.
    glow = self_checks.black(lambda w: formula(w) + 0.2 * w[RADIUS].mean(), RADIUS)
    assert glow["black_nits"] < 0.01 < 0.05 < glow["bars_mean_nits"]


def test_white_reports_light_and_cast() -> None:
    assert self_checks.white(formula, RADIUS)["white_nits"] == pytest.approx(1000, rel=0.01)
    tint = torch.tensor([0.0, 0.0, -0.02]).reshape(3, 1, 1)
    assert self_checks.white(lambda w: plain_pq(w[RADIUS]) + tint, RADIUS)["white_cast_nits"] > 10


def test_desaturation_is_seen_on_saturation_ramps() -> None:
    assert self_checks.saturation_ramps(lambda w: plain_pq(w[RADIUS]), RADIUS)["chroma_reversals"] == 0

    def greying(window: torch.Tensor) -> torch.Tensor:
        sdr = window[RADIUS]
        spread = sdr.amax(0, keepdim=True) - sdr.amin(0, keepdim=True)
        return plain_pq(torch.lerp(sdr, sdr.mean(0, keepdim=True), 1.4 * spread))

    assert self_checks.saturation_ramps(greying, RADIUS)["chroma_reversals"] > 5


def test_a_frame_of_one_colour_that_runs_wild_is_seen() -> None:
    assert max(self_checks.colored_frames(formula, RADIUS).values()) < 1e-3

    def darkens_red(window: torch.Tensor) -> torch.Tensor:
        red, green, blue = window[RADIUS].mean(dim=(-2, -1))
        return formula(window) - 0.3 * (red - torch.maximum(green, blue)).clamp(min=0)

    found = self_checks.colored_frames(darkens_red, RADIUS)
    assert found["most_stops"] > 1
    assert found["most_de_itp"] > 50


def test_rims_and_unevenness_of_saturated_patches_are_seen() -> None:
    even = self_checks.saturated_patches(formula, RADIUS)
    assert max(even.values()) < 1e-3

    def ringing(window: torch.Tensor) -> torch.Tensor:
        sdr = window[RADIUS]
        blurred = torch.nn.functional.avg_pool2d(sdr, 3, 1, 1)
        return measured_pq(sdr) + 0.05 * (sdr - blurred)

    found = self_checks.saturated_patches(ringing, RADIUS)
    assert found["rim_codes"] > 10
    assert found["inside_codes"] < 1e-3
    slope = torch.linspace(0, 0.05, 192)
    assert self_checks.saturated_patches(lambda w: formula(w) + slope, RADIUS)["inside_codes"] > 10

"""ICtCp and dE_ITP against colour-science."""

from __future__ import annotations

import colour
import numpy as np
import torch

from plugin_tests.reliability.conformance.colour_numbers import ICTCP_METHOD, delta_e_error, planes, random_light
from vsdslnet.color.ictcp import delta_e_itp, ictcp_to_nits, nits_to_ictcp


def test_delta_e_itp_of_a_million_colours_agrees_with_colour_science() -> None:
    assert delta_e_error(1_000_000) < 1e-4


def test_ictcp_agrees_with_colour_science() -> None:
    light = random_light(100_000, 3)
    oracle = colour.RGB_to_ICtCp(light, method=ICTCP_METHOD, L_p=10_000)
    assert np.abs(nits_to_ictcp(planes(light))[:, 0].T.numpy() - oracle).max() < 1e-9
    in_fp32 = nits_to_ictcp(planes(light).float())[:, 0].T.double().numpy()
    error_codes = np.abs(in_fp32 - oracle).max(axis=0) * 65_535
    assert error_codes[0] < 1
    assert error_codes[1:].max() < 8  # the Ct and Cp rows sum to 6.6 and 8.8 times PQ's own fp32 noise


def test_ictcp_round_trip() -> None:
    light = planes(random_light(100_000, 4))
    back = ictcp_to_nits(nits_to_ictcp(light))
    assert ((back - light).abs() / light.amax(dim=0, keepdim=True)).max() < 1e-6


def test_greys_have_no_chroma() -> None:
    grey = torch.logspace(-3, 4, 500, dtype=torch.float64).expand(3, 1, 500)
    ictcp = nits_to_ictcp(grey)
    assert ictcp[1:].abs().max() < 1e-9
    assert (ictcp[0].diff() > 0).all()


def test_colours_outside_bt2020_come_out_negative() -> None:
    wide = torch.tensor([0.4, 0.3, -0.4], dtype=torch.float64).view(3, 1, 1)
    assert ictcp_to_nits(wide).min() < 0


def test_equal_pictures_have_no_difference_and_a_finite_gradient() -> None:
    a = torch.rand(3, 4, 4) * 100
    a[:, 0] = 0
    b = a.clone().requires_grad_()
    difference = delta_e_itp(a, b)
    assert difference.max() < 1e-4
    difference.sum().backward()
    assert b.grad is not None
    assert torch.isfinite(b.grad).all()


def test_one_jnd_step_of_intensity_is_one() -> None:
    ictcp = torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64).view(3, 1, 1)
    step = torch.tensor([1 / 720, 0.0, 0.0], dtype=torch.float64).view(3, 1, 1)
    assert abs(float(delta_e_itp(ictcp_to_nits(ictcp), ictcp_to_nits(ictcp + step))) - 1) < 1e-6

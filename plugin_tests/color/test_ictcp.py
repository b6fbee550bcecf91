"""ICtCp and dE_ITP against colour-science."""

from __future__ import annotations

import colour
import numpy as np
import torch
from torch import Tensor

from vsdslnet.color.ictcp import delta_e_itp, ictcp_to_nits, nits_to_ictcp

METHOD = "ITU-R BT.2100-2 PQ"


def random_light(count: int, seed: int) -> np.ndarray:
    """Colours (count, 3) in cd/m², even over PQ codes, so dark and bright both are there."""
    codes = np.random.default_rng(seed).integers(1, 65_536, (count, 3)) / 65_535
    return colour.models.eotf_ST2084(codes)


def planes(colours: np.ndarray) -> Tensor:
    """(count, 3) -> (3, 1, count)."""
    return torch.from_numpy(np.ascontiguousarray(colours.T))[:, None, :]


def test_delta_e_itp_of_a_million_colours_agrees_with_colour_science() -> None:
    a, b = random_light(1_000_000, 1), random_light(1_000_000, 2)
    b[::2] = a[::2] * 1.01  # half of them near each other, where an error would show
    oracle = colour.difference.delta_E_ITP(
        colour.RGB_to_ICtCp(a, method=METHOD, L_p=10_000), colour.RGB_to_ICtCp(b, method=METHOD, L_p=10_000)
    )
    ours = delta_e_itp(planes(a), planes(b))[0].numpy()
    assert np.abs(ours - oracle).max() < 1e-4


def test_ictcp_agrees_with_colour_science() -> None:
    light = random_light(100_000, 3)
    oracle = colour.RGB_to_ICtCp(light, method=METHOD, L_p=10_000)
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

"""Published HDR -> SDR formulas against their own figures and colour-science."""

from __future__ import annotations

import colour
import numpy as np
import pytest
import torch

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.hdr_to_sdr import bt2390_eetf, bt2446a_sdr, bt2446c_sdr, into_bt709
from vsdslnet.color.primaries import BT709_LUMA, convert
from vsdslnet.color.sdr_to_hdr import bt2446a_nits
from vsdslnet.color.transfer import bt1886_to_linear


def grey(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, -1).expand(3, 1, -1)


def test_method_a_and_its_inverse_agree_on_grey_about_the_middle() -> None:
    codes = [0.25, 0.4, 0.5, 0.6, 0.75]
    there = bt2446a_sdr(bt2446a_nits(grey(codes)))[0, 0]
    assert torch.allclose(there, torch.tensor(codes, dtype=torch.float64), atol=0.02)


def test_method_a_takes_peak_to_white_and_black_to_black() -> None:
    assert bt2446a_sdr(grey([0.0, 1000.0]))[0, 0].tolist() == pytest.approx([0, 1], abs=1e-6)


def test_method_c_meets_its_inflection_and_its_published_top() -> None:
    # BT.2446-1 clause 6.1.3: linear below 58.5 cd/m² of SDR; 1000 cd/m² comes out at 118 % of SDR white.
    light = bt2446c_sdr(grey([0.0, 40.0, 58.5 / 0.83802, 1000.0]))[0, 0]
    assert light.tolist() == pytest.approx([0, 0.335208, 0.585, 1.18], abs=4e-3)


def test_methods_leave_grey_grey() -> None:
    for picture in (bt2446a_sdr(grey([1.0, 100.0, 700.0])), bt2446c_sdr(grey([1.0, 100.0, 700.0]), crosstalk=0.1)):
        assert torch.allclose(picture[0], picture[1], atol=1e-6)
        assert torch.allclose(picture[1], picture[2], atol=1e-6)


def test_the_eetf_is_the_identity_below_its_knee_and_ends_at_the_target() -> None:
    nits = torch.tensor([0.0, 1.0, 10.0, 1000.0], dtype=torch.float64)
    out = bt2390_eetf(nits, source_nits=1000.0, target_nits=203.0)
    assert out.tolist() == pytest.approx([0, 1, 10, 203], rel=1e-3)
    ramp = bt2390_eetf(torch.linspace(0, 1000, 2000, dtype=torch.float64), source_nits=1000.0, target_nits=203.0)
    assert (ramp.diff() >= 0).all()


def test_primaries_into_bt709_agree_with_colour_science_inside_the_gamut() -> None:
    inside = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wide = convert(inside, Primaries.BT709, Primaries.BT2020)
    back = into_bt709(wide).permute(1, 2, 0).numpy()
    oracle = colour.RGB_to_RGB(wide.permute(1, 2, 0).numpy(), "ITU-R BT.2020", "ITU-R BT.709")
    np.testing.assert_allclose(back, oracle, atol=2e-4)


def test_desaturation_keeps_luminance_where_clipping_raises_it() -> None:
    green = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).reshape(3, 1, 1)
    weights = torch.tensor(BT709_LUMA, dtype=torch.float64)
    luminance = float(weights @ convert(green, Primaries.BT2020, Primaries.BT709).flatten())
    assert float(weights @ into_bt709(green, desaturate=1.0).flatten()) == pytest.approx(luminance, rel=1e-6)
    assert float(weights @ into_bt709(green).flatten()) > 1.1 * luminance


def test_bt1886_is_undone() -> None:
    assert float(bt1886_to_linear(torch.tensor(0.5))) == pytest.approx(0.5**2.4)

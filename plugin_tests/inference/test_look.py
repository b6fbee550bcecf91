"""White, peak, strength and saturation: monotone, bounded, and each still where it promises to be."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import assume, given, settings
from torch import Tensor

from vsdslnet.color.ictcp import nits_to_ictcp
from vsdslnet.color.sdr_to_hdr import plain_pq
from vsdslnet.color.transfer import nits_to_pq, pq_scalar, pq_to_nits
from vsdslnet.errors import ArgumentError
from vsdslnet.inference.look import apply_look, retarget, scale_saturation
from vsdslnet.options import LookOptions

ONE_CODE = 1 / 65_535
PEAKS = st.floats(300, 10_000)
WHITES = st.floats(50, 600)
UNIT = st.floats(0, 1, width=32)
SIGNALS = st.tuples(UNIT, UNIT, UNIT)


def pixel(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(3, 1, 1)


@settings(max_examples=150, deadline=None)
@given(
    network=st.tuples(*(st.floats(-1, 3, width=32) for _ in range(3))),
    sdr=SIGNALS,
    peak=PEAKS,
    strength=st.floats(0, 1),
    saturation=st.floats(0, 4),
)
def test_nothing_leaves_zero_to_peak(
    network: tuple[float, float, float],
    sdr: tuple[float, float, float],
    peak: float,
    strength: float,
    saturation: float,
) -> None:
    look = LookOptions(peak_nits=peak, strength=strength, saturation=saturation)
    pq = apply_look(pixel(network), pixel(sdr), look)
    assert pq.min() >= 0
    assert float(pq.max()) <= pq_scalar(peak) + 1e-7  # the limit itself, rounded to fp32
    assert torch.isfinite(pq).all()


def test_the_default_look_changes_nothing() -> None:
    torch.manual_seed(0)
    pq = torch.rand(3, 40, 40) * pq_scalar(1000)
    assert torch.equal(apply_look(pq, torch.rand(3, 40, 40), LookOptions()), pq)


@settings(max_examples=60, deadline=None)
@given(peak=PEAKS)
def test_up_to_diffuse_white_peak_moves_nothing(peak: float) -> None:
    generator = torch.Generator().manual_seed(1)
    nits = torch.rand(3, 20, 20, generator=generator) * 203
    assert torch.equal(retarget(nits, peak), nits)
    pq = nits_to_pq(nits)
    look = apply_look(pq, torch.zeros_like(pq), LookOptions(peak_nits=peak))
    assert (look - pq).abs().max() < ONE_CODE


@settings(max_examples=60, deadline=None)
@given(peak=PEAKS)
def test_peak_takes_1000_nits_to_the_peak_and_keeps_the_order_of_greys(peak: float) -> None:
    ramp = torch.linspace(0, 1000, 4001, dtype=torch.float64).expand(3, 1, 4001)
    out = retarget(ramp, peak)
    assert float(out[0, 0, -1]) == pytest.approx(peak, rel=1e-6)
    assert (out.diff(dim=-1) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(low=PEAKS, high=PEAKS)
def test_a_higher_peak_never_darkens(low: float, high: float) -> None:
    low, high = sorted((low, high))
    generator = torch.Generator().manual_seed(2)
    nits = torch.rand(3, 30, 30, generator=generator, dtype=torch.float64) * 1000
    assert (retarget(nits, high) - retarget(nits, low)).min() > -1e-6


def look_of(peak: float, white: float) -> LookOptions:
    """A look, or none where the two don't go together."""
    assume(peak > white)
    return LookOptions(peak_nits=peak, white_nits=white)


@settings(max_examples=60, deadline=None)
@given(peak=st.floats(100, 10_000), white=WHITES)
def test_up_to_diffuse_white_light_scales_with_it(peak: float, white: float) -> None:
    look_of(peak, white)
    generator = torch.Generator().manual_seed(5)
    nits = torch.rand(3, 20, 20, generator=generator, dtype=torch.float64) * 203
    assert torch.allclose(retarget(nits, peak, white), nits * white / 203, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(peak=st.floats(100, 10_000), white=WHITES)
def test_above_it_highlights_end_at_the_peak_in_order(peak: float, white: float) -> None:
    look_of(peak, white)
    ramp = torch.linspace(0, 1000, 4001, dtype=torch.float64).expand(3, 1, 4001)
    out = retarget(ramp, peak, white)
    assert float(out[0, 0, -1]) == pytest.approx(peak, rel=1e-6)
    assert (out.diff(dim=-1) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(peak=st.floats(100, 10_000), a=WHITES, b=WHITES)
def test_a_brighter_white_never_darkens(peak: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    look_of(peak, high)
    generator = torch.Generator().manual_seed(6)
    nits = torch.rand(3, 30, 30, generator=generator, dtype=torch.float64) * 1000
    assert ((retarget(nits, peak, high) - retarget(nits, peak, low)) / peak).min() > -1e-9


@pytest.mark.parametrize("white", [80.0, 100.0, 150.0, 300.0])
def test_the_way_through_diffuse_white_has_no_kink(white: float) -> None:
    ramp = torch.linspace(0.56, 0.60, 4001, dtype=torch.float64)  # 203 cd/m² is 0.5807
    slope = nits_to_pq(retarget(pq_to_nits(ramp).expand(3, 1, -1), 1000.0, white))[0, 0].diff()
    assert (slope[1:] / slope[:-1] - 1).abs().max() < 2e-3


def test_white_keeps_the_ratios_of_a_colour_and_203_changes_no_bit() -> None:
    nits = torch.tensor([900.0, 300.0, 30.0], dtype=torch.float64).view(3, 1, 1)
    for white in (60.0, 100.0, 400.0):
        out = retarget(nits, 1000.0, white)
        assert (out / out[0]).flatten().tolist() == pytest.approx([1, 1 / 3, 1 / 30], rel=1e-9)
    torch.manual_seed(0)
    pq, sdr = torch.rand(3, 40, 40) * pq_scalar(1000), torch.rand(3, 40, 40)
    for rest in ({}, {"peak_nits": 600.0}, {"strength": 0.3}, {"saturation": 1.2}):
        assert torch.equal(
            apply_look(pq, sdr, LookOptions(**rest)), apply_look(pq, sdr, LookOptions(white_nits=203, **rest))
        )


def test_plain_conversion_follows_white_too() -> None:
    white = torch.ones(3, 2, 2)
    out = apply_look(torch.zeros(3, 2, 2), white, LookOptions(strength=0, white_nits=100))
    assert pq_to_nits(out).flatten().tolist() == pytest.approx([100] * 12, rel=1e-4)


def test_a_peak_without_room_above_white_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^peak=150.*above white=203 nits.*lower white"):
        LookOptions(peak_nits=150)
    assert LookOptions(peak_nits=150, white_nits=100).peak_nits == 150


def test_peak_is_smooth_at_diffuse_white() -> None:
    ramp = torch.linspace(0.55, 0.62, 2001, dtype=torch.float64)
    for peak in (600.0, 4000.0, 10_000.0):  # nearer to 203 the slope of 1 lasts too short to see
        out = nits_to_pq(retarget(pq_to_nits(ramp).expand(3, 1, -1), peak))[0, 0]
        slope = out.diff() / ramp.diff()
        assert slope[ramp[1:] < 0.58].sub(1).abs().max() < 1e-6
        just_above = slope[(ramp[1:] > 0.5808) & (ramp[1:] < 0.582)]
        assert just_above.sub(1).abs().max() < 0.08


def test_peak_keeps_the_ratios_of_a_colour() -> None:
    nits = torch.tensor([900.0, 300.0, 30.0], dtype=torch.float64).view(3, 1, 1)
    for peak in (300.0, 4000.0):
        out = retarget(nits, peak)
        assert (out / out[0]).flatten().tolist() == pytest.approx([1, 1 / 3, 1 / 30], rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(network=SIGNALS, sdr=SIGNALS, a=st.floats(0, 1), b=st.floats(0, 1), peak=PEAKS)
def test_strength_moves_every_channel_one_way(
    network: tuple[float, float, float], sdr: tuple[float, float, float], a: float, b: float, peak: float
) -> None:
    weak, strong = sorted((a, b))
    pq, frame = pixel(network), pixel(sdr)
    at = {s: apply_look(pq, frame, LookOptions(strength=s, peak_nits=peak)) for s in (0.0, weak, strong, 1.0)}
    direction = (at[1.0] - at[0.0]).sign()
    assert ((at[strong] - at[weak]) * direction).min() > -1e-6


def test_strength_zero_is_the_plain_conversion() -> None:
    torch.manual_seed(0)
    sdr, network = torch.rand(3, 30, 30), torch.rand(3, 30, 30)
    for peak in (300.0, 1000.0, 4000.0):
        out = apply_look(network, sdr, LookOptions(strength=0, peak_nits=peak))
        assert torch.equal(out, plain_pq(sdr))


@settings(max_examples=100, deadline=None)
@given(network=SIGNALS, a=st.floats(0, 4), b=st.floats(0, 4))
def test_saturation_scales_chroma_and_keeps_intensity_inside_the_gamut(
    network: tuple[float, float, float], a: float, b: float
) -> None:
    less, more = sorted((a, b))
    nits = pq_to_nits(torch.tensor(network, dtype=torch.float64).view(3, 1, 1) * 0.75)
    before = nits_to_ictcp(nits)
    chroma = before[1:].norm()
    for factor, limit in ((less, 1.0), (more, 1.0)):
        out = scale_saturation(nits, factor)
        if out.min() > 0 and factor <= limit:
            after = nits_to_ictcp(out)
            assert abs(float(after[1:].norm() - chroma * factor)) < 1e-5
            assert abs(float(after[0] - before[0])) < 1e-5
    low, high = (nits_to_ictcp(scale_saturation(nits, f))[1:].norm() for f in (less, more))
    if scale_saturation(nits, more).min() > 0:
        assert low <= high + 1e-6


def test_no_saturation_is_grey_and_greys_stay_grey() -> None:
    torch.manual_seed(0)
    nits = torch.rand(3, 16, 16, dtype=torch.float64) * 800
    grey = scale_saturation(nits, 0.0)
    assert (grey.amax(dim=0) - grey.amin(dim=0)).max() < 1e-3
    ramp = torch.linspace(0, 1000, 300, dtype=torch.float64).expand(3, 1, 300)
    for factor in (0.0, 0.5, 2.0, 4.0):
        assert (scale_saturation(ramp, factor) - ramp).abs().max() < 1e-3


def test_saturation_keeps_black_black_and_all_stays_bounded_in_fp32() -> None:
    black = torch.zeros(3, 4, 4)
    assert torch.equal(apply_look(black, black, LookOptions(saturation=4)), black)
    torch.manual_seed(0)
    wild = scale_saturation(torch.rand(3, 64, 64) * 1000, 4.0)
    assert torch.isfinite(wild).all()
    assert wild.min() >= 0

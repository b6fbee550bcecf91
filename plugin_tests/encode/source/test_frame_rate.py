"""Frames rounded to a container's ticks are told from those of a variable rate, whatever the header says."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsdslnet.encode.source.frame_rate import frame_times

MILLISECONDS = Fraction(1, 1000)
NTSC = Fraction(24_000, 1001)


def rounded(rate: Fraction, frames: int, unit: Fraction, first: Fraction = Fraction(0)) -> list[int]:
    return [round((first + number / rate) / unit) for number in range(frames)]


@pytest.mark.parametrize("unit", [MILLISECONDS, Fraction(1, 90_000), Fraction(1, 12_800)])
@pytest.mark.parametrize(
    "rate", [NTSC, Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(60), Fraction(120)]
)
def test_a_constant_rate_is_found_behind_rounding(rate: Fraction, unit: Fraction) -> None:
    times = frame_times(rounded(rate, 2000, unit), unit, claimed=[rate])
    assert times.constant
    assert times.rate == rate
    assert [at * times.time_base * rate for at in times.timestamps] == list(range(2000))


@pytest.mark.parametrize("claimed", [Fraction(24_417, 1000), Fraction(1000), Fraction(90_000), Fraction(1, 7)])
def test_a_rate_that_the_header_makes_up_is_not_believed(claimed: Fraction) -> None:
    assert frame_times(rounded(NTSC, 500, MILLISECONDS), MILLISECONDS, claimed=[claimed]).rate == NTSC


@pytest.mark.parametrize("rate", [Fraction(1, 10), Fraction(1000), Fraction(7), Fraction(300)])
def test_odd_rates_are_rates(rate: Fraction) -> None:
    times = frame_times(rounded(rate, 50, MILLISECONDS), MILLISECONDS, claimed=[rate])
    assert (times.rate, times.constant) == (rate, True) if rate <= 250 or rate == 1000 else (times.rate, True)
    assert [at * times.time_base for at in times.timestamps] == pytest.approx([n / rate for n in range(50)], abs=1e-3)


def test_times_before_the_picture_are_kept_to_a_tenth_of_a_millisecond() -> None:
    times = frame_times(rounded(Fraction(24), 100, MILLISECONDS, Fraction(83, 1000)), MILLISECONDS)
    assert float(times.timestamps[0] * times.time_base) == pytest.approx(0.083, abs=1e-4)


def test_a_variable_rate_stays_as_it_is() -> None:
    stamps = [0, 42, 83, 500, 542, 583]
    times = frame_times(stamps, MILLISECONDS, claimed=[Fraction(24)])
    assert (times.timestamps, times.time_base, times.constant) == (stamps, MILLISECONDS, False)
    assert times.rate == Fraction(5000, 583)


@pytest.mark.parametrize(("claimed", "rate"), [([], 25), ([Fraction(24)], 24), ([None, Fraction(30)], 30)])
def test_of_one_frame_the_header_is_believed(claimed: list[Fraction | None], rate: int) -> None:
    assert frame_times([7], MILLISECONDS, claimed=claimed) == ([7], MILLISECONDS, rate, False)


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=50), st.integers(-(10**9), 10**9))
def test_times_rise_and_move_by_less_than_a_rounding(gaps: list[int], first: int) -> None:
    stamps = [first + sum(gaps[:number]) for number in range(len(gaps) + 1)]
    unit = Fraction(1, 90_000)
    times = frame_times(stamps, unit)
    assert all(later > at for at, later in zip(times.timestamps, times.timestamps[1:], strict=False))
    moved = [abs(at * times.time_base - told * unit) for at, told in zip(times.timestamps, stamps, strict=True)]
    assert max(moved) <= Fraction(21, 10_000)

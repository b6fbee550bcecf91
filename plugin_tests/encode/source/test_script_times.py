"""Which times a script's frames get from the file beside it, and when that would let the sound drift."""

from __future__ import annotations

from fractions import Fraction

import pytest

from vsdslnet.encode.source.script_times import PictureTimes, ScriptTimes, script_times
from vsdslnet.errors import MediaError

NTSC = Fraction(30_000, 1001)


def picture(timestamps: list[int], time_base: Fraction, rate: Fraction) -> PictureTimes:
    return PictureTimes(name="film.mkv", timestamps=timestamps, time_base=time_base, rates=[rate])


def constant(frames: int, rate: Fraction, start: int = 0) -> PictureTimes:
    """In milliseconds, as Matroska has them."""
    return picture([start + round(number / rate * 1000) for number in range(frames)], Fraction(1, 1000), rate)


def times(
    frames: int, rate: Fraction | None, beside: PictureTimes | None, durations: list[Fraction] | None = None
) -> ScriptTimes:
    return script_times("film.vpy", frames, rate, durations or [], picture=beside, start_seconds=Fraction(1, 2))


def seconds(found: ScriptTimes) -> list[float]:
    return [float(at * found.time_base) for at in found.timestamps]


def test_the_file_s_own_frames_have_the_file_s_own_times() -> None:
    varying = [0, 40, 100, 140, 200, 240]
    beside = picture(varying, Fraction(1, 1000), Fraction(21))
    found = times(6, Fraction(21), beside)
    assert (found.timestamps, found.time_base, found.word) == (varying, Fraction(1, 1000), None)
    assert times(6, None, beside, [Fraction(1, 24)] * 6).timestamps == varying


@pytest.mark.parametrize(
    ("frames", "rate", "of"),
    [
        (200, 2 * NTSC, 100),  # one of each field
        (80, NTSC * Fraction(4, 5), 100),  # telecine undone
        (98, NTSC, 100),  # two frames lost at the ends
    ],
)
def test_other_frames_follow_the_script_s_rate_from_the_file_s_first_on(frames: int, rate: Fraction, of: int) -> None:
    found = times(frames, rate, constant(of, NTSC, start=80))
    assert seconds(found) == pytest.approx([0.08 + float(number / rate) for number in range(frames)], abs=1e-4)
    assert found.word == (
        f"the frame times of film.mkv (its picture has {of} frames, the script gives {frames} frames at "
        f"{float(rate):.6g} fps)"
    )


@pytest.mark.parametrize(
    ("frames", "rate", "cure"),
    [
        (90, NTSC, "cut --tracks as the script is cut"),
        (200, NTSC, "cut --tracks"),
        (100, Fraction(25), r"AssumeFPS\(fpsnum=30000, fpsden=1001\)"),
    ],
)
def test_sound_that_would_drift_is_refused(frames: int, rate: Fraction, cure: str) -> None:
    with pytest.raises(MediaError, match=rf"film\.vpy: its {frames} frames .*the sound would drift; .*{cure}"):
        times(frames, rate, constant(100, NTSC))


def test_a_rounded_rate_is_the_same_rate() -> None:
    beside = constant(5000, Fraction(24_000, 1001))
    assert times(5000, Fraction(23_976, 1000), beside).timestamps == beside.timestamps


def test_without_a_picture_beside_it_begins_where_the_file_does() -> None:
    assert seconds(times(3, Fraction(25), None)) == pytest.approx([0.5, 0.54, 0.58], abs=1e-4)


def test_a_varying_rate_by_its_frames_durations() -> None:
    durations = [Fraction(1, 30), Fraction(1, 24), Fraction(1, 30)]
    assert seconds(times(3, None, None, durations)) == pytest.approx(
        [0.5, 0.5 + 1 / 30, 0.5 + 1 / 30 + 1 / 24], abs=1e-4
    )
    found = times(3, None, constant(4, Fraction(36)), durations)
    assert seconds(found) == pytest.approx([0, 1 / 30, 1 / 30 + 1 / 24], abs=1e-4)


def test_one_frame() -> None:
    assert times(1, Fraction(24), constant(1, Fraction(24), start=40)).timestamps == [40]

"""Bits, percentiles, curve and JSON of a shot's dynamic metadata."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vsdslnet.hdr10plus.measure import shot_metadata
from vsdslnet.hdr10plus.metadata import PERCENTAGES, ShotMetadata, ToneCurve
from vsdslnet.hdr10plus.programme import programme_of
from vsdslnet.hdr10plus.shot_light import HISTOGRAM_BINS, ShotLight, ShotMeter
from vsdslnet.hdr10plus.tone_curve import _bernstein, _eetf, pq_nits, pq_signal, tone_curve

METADATA = ShotMetadata(
    target_nits=400,
    max_scl=(17830, 16895, 14252),
    average_maxrgb=1037,
    distribution=(3, 14024, 43, 56, 219, 1036, 2714, 4668, 14445),
    curve=ToneCurve(knee=(17, 64), anchors=(265, 666, 741, 800, 848, 887, 920, 945, 957)),
)


def read(payload: bytes) -> list[int]:
    """The fields of CTA-861's syntax in their order, read by their widths from the table of the standard."""
    bits = "".join(f"{byte:08b}" for byte in payload)
    widths = [8, 16, 16, 8, 8, 2, 27, 1, 17, 17, 17, 17, 4, *[7, 17] * 9, 10, 1, 1, 12, 12, 4, *[10] * 9, 1]
    ends = np.cumsum(widths)
    assert set(bits[ends[-1] :]) <= {"0"}
    assert len(bits) - ends[-1] < 8
    return [int(bits[end - width : end], 2) for end, width in zip(ends, widths, strict=True)]


def test_the_bits_are_the_standards_fields_in_their_order() -> None:
    pairs = [number for pair in zip(PERCENTAGES, METADATA.distribution, strict=True) for number in pair]
    assert read(METADATA.t35_payload()) == [
        0xB5, 0x3C, 1, 4, 1, 1, 400, 0, 17830, 16895, 14252, 1037, 9, *pairs, 0, 0, 1, 17, 64, 9,
        265, 666, 741, 800, 848, 887, 920, 945, 957, 0,
    ]  # fmt: skip


def test_what_does_not_fit_is_an_error() -> None:
    too_bright = ShotMetadata(**{**vars(METADATA), "average_maxrgb": 1 << 17})
    with pytest.raises(ValueError, match="131072 does not fit into 17 bits"):
        too_bright.t35_payload()


def light_of(signal: np.ndarray, first: int = 0) -> ShotLight:  # type: ignore[type-arg]
    """Light of grey frames (frames, pixels) of PQ signal."""
    meter = ShotMeter(first)
    for frame in signal:
        codes = np.round(frame * 65_535).astype(int)
        meter.add(
            max_codes=[int(codes.max())] * 3,
            average_nits=float(pq_nits(codes / 65_535).mean()),
            histogram=np.bincount(codes >> 4, minlength=HISTOGRAM_BINS),
        )
    return meter.light()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(1, 10_000), st.integers(1, 4))
def test_percentiles_are_numpys_within_a_bin(seed: int, peak_nits: float, frames: int) -> None:
    signal = np.random.default_rng(seed).beta(1, 3, (frames, 2000)) * float(pq_signal(peak_nits))
    found = dict(zip(PERCENTAGES, shot_metadata([light_of(signal)], target_nits=400).distribution, strict=True))
    nits = pq_nits(np.round(signal * 65_535) / 65_535).ravel()
    for name, percent in {1: 1, 5: 99.99, 25: 25, 50: 50, 75: 75, 90: 90, 95: 95, 99: 99.98}.items():
        exact = np.percentile(nits, percent, method="inverted_cdf")
        assert abs(found[name] / 10 - exact) <= 0.005 * exact + 0.06
    assert found[10] == pytest.approx(100 * (nits <= 100).mean(), abs=1)


def test_frames_of_a_shot_count_alike_whatever_chunks_they_came_in() -> None:
    signal = np.random.default_rng(3).random((6, 500))
    whole = shot_metadata([light_of(signal)], target_nits=400)
    parts = shot_metadata([light_of(signal[:1]), light_of(signal[1:], first=1)], target_nits=400)
    assert parts == whole
    assert whole.average_maxrgb == round(10 * float(pq_nits(np.round(signal * 65_535) / 65_535).mean()))
    assert whole.max_scl == (round(10 * float(pq_nits(np.round(signal.max() * 65_535) / 65_535))),) * 3


def test_a_black_shot_is_black() -> None:
    black = shot_metadata([light_of(np.zeros((2, 50)))], target_nits=400)
    assert black.max_scl == (0, 0, 0)
    assert black.average_maxrgb == 0
    assert dict(zip(PERCENTAGES, black.distribution, strict=True)) == {p: 100 if p == 10 else 0 for p in PERCENTAGES}


def shown_nits(curve: ToneCurve, light: np.ndarray, shot_nits: float, target_nits: float) -> np.ndarray:  # type: ignore[type-arg]
    """ST 2094-40's curve as a display applies it."""
    knee_x, knee_y = (ordinate / 4095 for ordinate in curve.knee)
    points = np.array([0, *(anchor / 1023 for anchor in curve.anchors), 1])
    x = light / shot_nits
    above = knee_y + (1 - knee_y) * (_bernstein(((x - knee_x) / (1 - knee_x)).clip(0, 1)) @ points)
    return np.where(x < knee_x, x * (knee_y / knee_x if knee_x else 0), above) * target_nits


@pytest.mark.parametrize(
    ("shot_nits", "target_nits", "bound"),
    [(1000, 400, 0.1), (1000, 999, 0.1), (600, 400, 0.1), (2000, 1000, 0.1), (4000, 400, 10)],
)
def test_the_curve_is_bt2390s(shot_nits: float, target_nits: float, bound: float) -> None:
    """``bound`` in codes of 10 bits; a curve of ten degrees can't bend as fast as ten times too much light wants."""
    light = pq_nits(np.linspace(0.05, float(pq_signal(shot_nits)), 2000))
    shown = shown_nits(tone_curve(shot_nits, target_nits), light, shot_nits, target_nits)
    wanted = _eetf(light, shot_nits, target_nits)
    assert np.abs(pq_signal(shown) - pq_signal(wanted)).max() * 1023 < bound
    assert wanted[-1] == pytest.approx(target_nits)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.1, 10_000), st.integers(100, 10_000))
def test_every_curve_rises_and_ever_flatter(shot_nits: float, target_nits: int) -> None:
    curve = tone_curve(shot_nits, target_nits)
    steps = np.diff([0, *curve.anchors, 1023])
    assert (steps >= 0).all()
    assert (np.diff(steps) <= 2).all()  # anchors are rounded
    assert all(0 <= ordinate <= 4095 for ordinate in curve.knee)


def test_a_shot_that_the_display_reaches_is_left_alone() -> None:
    light = np.linspace(0, 300, 100)
    shown = shown_nits(tone_curve(300, 400), light, 300, 300)
    assert np.abs(shown - light).max() < 0.2


def test_the_json_has_every_frame_under_its_shot() -> None:
    dark, bright = np.full((3, 10), 0.2), np.full((2, 10), 0.7)
    lights = [light_of(bright, first=3), light_of(dark[:1]), light_of(dark[1:], first=1)]
    programme = programme_of(lights, [3], frames=5, target_nits=500)
    told = json.loads(programme.json_text())
    assert told["SceneInfoSummary"] == {"SceneFirstFrameIndex": [0, 3], "SceneFrameNumbers": [3, 2]}
    assert [scene["SequenceFrameIndex"] for scene in told["SceneInfo"]] == [0, 1, 2, 3, 4]
    assert [(scene["SceneId"], scene["SceneFrameIndex"]) for scene in told["SceneInfo"]] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1),
    ]  # fmt: skip
    (_, first), (_, second) = programme.shots
    for scene, metadata in zip(told["SceneInfo"], [first] * 3 + [second] * 2, strict=True):
        assert scene["LuminanceParameters"]["MaxScl"] == list(metadata.max_scl)
        assert scene["LuminanceParameters"]["LuminanceDistributions"]["DistributionValues"] == list(
            metadata.distribution
        )
        assert scene["BezierCurveData"]["Anchors"] == list(metadata.curve.anchors)
        assert scene["TargetedSystemDisplayMaximumLuminance"] == 500
    assert [programme.t35_payload(frame) for frame in range(5)] == [first.t35_payload()] * 3 + [
        second.t35_payload()
    ] * 2

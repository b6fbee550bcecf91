"""The way from the SDR grade to a decoder's output: 4:2:0, noise, H.264, JPEG."""

from __future__ import annotations

import numpy as np
import pytest

from vsdslnet.training.config.dataset import DegradeConfig
from vsdslnet.training.simulation.degrade import (
    Degradation,
    add_noise,
    degrade,
    from_yuv420,
    h264,
    jpeg,
    sample_degradation,
    to_yuv420,
)

ALL = slice(None)


def picture(shift: float = 0.0, *, height: int = 48, width: int = 64) -> np.ndarray:
    v, u = np.mgrid[:height, :width].astype(np.float32)
    planes = [0.5 + 0.4 * np.sin((u + shift) / 9 + phase) * np.cos(v / 7 + phase) for phase in (0, 0.7, 1.5)]
    return np.stack(planes, axis=-1).astype(np.float32)


def test_420_codes_are_those_of_bt709_limited_range() -> None:
    frame = np.zeros((4, 8, 3), np.float32)
    frame[:, :4] = 1.0
    y, cb, cr = to_yuv420(frame)
    assert y[0].tolist() == [235] * 4 + [16] * 4
    assert (cb == 128).all()
    assert (cr == 128).all()
    red = np.zeros((4, 8, 3), np.float32)
    red[..., 0] = 1
    y, cb, cr = to_yuv420(red)
    assert (y[0, 0], cb[0, 0], cr[0, 0]) == (63, 102, 240)


def test_420_and_back_agrees_with_zimg() -> None:
    vs = pytest.importorskip("vapoursynth")
    core = vs.core
    frame = picture()
    clip = core.std.BlankClip(width=64, height=48, format=vs.RGBS, length=1)

    def fill(n: int, f: object) -> object:
        out = f.copy()  # type: ignore[attr-defined]
        for plane in range(3):
            np.asarray(out[plane])[:] = frame[..., plane]
        return out

    clip = clip.std.ModifyFrame(clip, fill)
    yuv = clip.resize.Bilinear(
        format=vs.YUV420P8, matrix_s="709", range_s="limited", chromaloc_s="left", dither_type="none"
    )
    oracle = [np.asarray(yuv.get_frame(0)[plane]).copy() for plane in range(3)]
    ours = to_yuv420(frame)
    for mine, theirs in zip(ours, oracle, strict=True):
        assert np.abs(mine.astype(int) - theirs)[2:-2, 2:-2].max() <= 1
    rgb = yuv.resize.Bilinear(format=vs.RGBS, matrix_in_s="709", range_in_s="limited", chromaloc_in_s="left")
    back = np.stack([np.asarray(rgb.get_frame(0)[plane]) for plane in range(3)], axis=-1)
    difference = from_yuv420(tuple(oracle)) - 255 * back.clip(0, 1)  # type: ignore[arg-type]
    assert np.abs(difference[2:-2, 2:-2]).max() < 1.5


def test_noise_has_the_deviation_it_is_asked_for_and_its_grain_is_coarser() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((128, 128, 3), 0.5, np.float32)
    fine = 255 * (add_noise(rng, flat, noise_code=2.0, shot=0.0, grain_px=0.0) - flat)
    coarse = 255 * (add_noise(rng, flat, noise_code=2.0, shot=0.0, grain_px=0.8) - flat)
    assert fine.std() == pytest.approx(2.0, rel=0.05)
    assert coarse.std() == pytest.approx(2.0, rel=0.15)
    neighbours = [np.corrcoef(n[:, :-1, 1].ravel(), n[:, 1:, 1].ravel())[0, 1] for n in (fine, coarse)]
    assert abs(neighbours[0]) < 0.03
    assert neighbours[1] > 0.3


def test_shot_noise_is_stronger_in_the_light() -> None:
    rng = np.random.default_rng(0)
    deviations = []
    for level in (0.05, 0.9):
        flat = np.full((64, 64, 3), level, np.float32)
        deviations.append((add_noise(rng, flat, noise_code=2.0, shot=1.0, grain_px=0.0) - flat).std())
    assert deviations[1] > 3 * deviations[0]


def test_h264_keeps_order_and_count_and_a_higher_crf_costs_more() -> None:
    frames = [to_yuv420(picture(3.0 * k, height=72, width=128)) for k in range(7)]
    errors = []
    for crf in (16, 36):
        coded, types = h264(frames, crf=crf, preset="veryfast")
        assert len(coded) == 7
        assert types[0] == "I" and set(types[1:]) <= set("PB")
        error = [np.abs(a[0].astype(int) - b[0]).mean() for a, b in zip(frames, coded, strict=True)]
        order = [np.abs(frames[k][0].astype(int) - coded[4][0]).mean() for k in range(7)]
        assert int(np.argmin(order)) == 4
        errors.append(np.mean(error))
    assert errors[0] < errors[1]
    assert np.mean(errors) > 0.1


def test_frames_of_a_still_shot_differ_after_h264_at_a_low_rate() -> None:
    rng = np.random.default_rng(0)
    how = Degradation(noise_code=3.0, crf=32, preset="veryfast", lead_in_frames=2)
    out, _ = degrade(rng, [picture(height=72, width=128)] * 5, how, picture_rows=ALL)
    assert out.shape == (5, 72, 128, 3)
    assert out.dtype == np.uint8
    assert not np.array_equal(out[1], out[2])


def test_degrading_twice_with_one_seed_gives_the_same_bytes() -> None:
    how = Degradation(noise_code=2.0, crf=28, preset="superfast", lead_in_frames=3, grain_px=0.6)
    frames = [picture(float(k), height=72, width=128) for k in range(5)]
    one, two = (degrade(np.random.default_rng(5), frames, how, picture_rows=ALL) for _ in range(2))
    assert np.array_equal(one[0], two[0])
    assert one[1] == two[1]
    assert len(one[1]) == 5


def test_without_any_step_only_420_and_8_bit_remain() -> None:
    out, _ = degrade(np.random.default_rng(0), [picture()], Degradation(), picture_rows=ALL)
    assert np.abs(out[0] / 255 - picture()).mean() < 0.01


def test_noise_stays_off_black_bars() -> None:
    frame = picture()
    frame[:8] = 0
    frame[-8:] = 0
    how = Degradation(noise_code=6.0)
    out, _ = degrade(np.random.default_rng(0), [frame] * 5, how, picture_rows=slice(8, 40))
    assert out[:, :7].max() == 0
    assert out[:, -7:].max() == 0
    assert out[:, 8:40].std(axis=0).mean() > 2


def test_jpeg_is_close_at_a_high_quality_and_further_at_a_low_one() -> None:
    rgb = np.rint(255 * picture()).astype(np.uint8)
    far, near = (np.abs(jpeg(rgb, quality=q).astype(int) - rgb).mean() for q in (30, 97))
    assert near < far
    assert near < 3


def test_degradations_are_drawn_in_the_recipes_shares() -> None:
    rng = np.random.default_rng(3)
    config = DegradeConfig()
    drawn = [sample_degradation(rng, config, photograph=False) for _ in range(3000)]
    assert np.mean([d.crf > 0 for d in drawn]) == pytest.approx(config.h264_share, abs=0.03)
    assert np.mean([d.noise_code == 0 for d in drawn]) == pytest.approx(config.clean_share, abs=0.03)
    assert all(config.crf[0] <= d.crf <= config.crf[1] for d in drawn if d.crf)
    assert not any(d.jpeg_quality for d in drawn)
    assert any(sample_degradation(rng, config, photograph=True).jpeg_quality for _ in range(100))

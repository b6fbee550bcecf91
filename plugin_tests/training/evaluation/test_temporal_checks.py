"""Each check passes a good converter and catches a bad one."""

from __future__ import annotations

import pytest
import torch

from vsdslnet.color.measured import measured_pq
from vsdslnet.color.sdr_to_hdr import plain_pq
from vsdslnet.training.evaluation import temporal_checks

RADIUS = 1


def formula(window: torch.Tensor) -> torch.Tensor:
    return measured_pq(window[RADIUS])


def test_plain_conversion_flickers_like_itself_and_averaging_frames_less() -> None:
    plain = temporal_checks.static_noise(lambda w: plain_pq(w[RADIUS]), RADIUS)
    assert plain["noise_ratio_to_plain"] == pytest.approx(1.0, abs=1e-3)
    calm = temporal_checks.static_noise(lambda w: plain_pq(w.mean(0)), RADIUS)
    assert calm["noise_ratio_to_plain"] < 0.8


def test_only_a_global_converter_moves_the_untouched_side() -> None:
    local = temporal_checks.entering_object(formula, RADIUS)
    assert local == {"untouched_mean_codes": 0, "untouched_max_codes": 0}
    pumping = temporal_checks.entering_object(lambda w: formula(w) - 0.1 * w.mean(), RADIUS)
    assert pumping["untouched_mean_codes"] > 2


def test_twenty_scenes_differ_and_are_the_same_every_time() -> None:
    drawn = temporal_checks.entrances(20)
    assert drawn == temporal_checks.entrances(20)
    assert drawn[:3] == temporal_checks.entrances(3)
    assert len(set(drawn)) == 20
    assert all(120 % entrance.columns_a_frame == 0 for entrance in drawn)
    levels = [max(entrance.light) for entrance in drawn]
    assert min(levels) < 0.1 < 0.6 < max(levels) <= 1


def test_any_of_the_scenes_shows_a_converter_that_follows_the_whole_frame() -> None:
    def pumps_in_the_dark(window: torch.Tensor) -> torch.Tensor:
        return formula(window) + 0.1 * window.mean() * (window[RADIUS].amax() < 0.12)

    assert temporal_checks.entering_object(pumps_in_the_dark, RADIUS)["untouched_max_codes"] == 0
    assert temporal_checks.entering_object(pumps_in_the_dark, RADIUS, scenes=20)["untouched_max_codes"] > 0


def test_what_lies_within_a_layers_reach_of_the_object_is_not_called_untouched() -> None:
    """120 px, the halo of the inference's bands; one more and the object is seen."""
    for reach_px, seen in ((119, False), (125, True)):

        def near_sighted(window: torch.Tensor, reach_px: int = reach_px) -> torch.Tensor:
            return formula(window) + 0.05 * window[RADIUS].roll(-reach_px, dims=-1)

        assert (temporal_checks.entering_object(near_sighted, RADIUS)["untouched_max_codes"] > 0) == seen


def test_a_flash_is_seen_beside_itself_only_by_a_converter_that_mixes_frames() -> None:
    assert temporal_checks.flash(formula, RADIUS) == {"beside_flash_mean_codes": 0, "beside_flash_max_codes": 0}
    mixing = temporal_checks.flash(lambda w: formula(w) - 0.05 * w.mean(), RADIUS)
    assert mixing["beside_flash_mean_codes"] > 2


def test_a_fade_that_brightens_on_the_way_is_caught() -> None:
    found = temporal_checks.fade(formula, RADIUS)
    assert found["fade_rise_mean_codes"] == found["fade_rise_max_codes"] == 0
    assert found["fade_step_ratio"] < 2
    adapting = temporal_checks.fade(lambda w: formula(w) + 0.5 * (1 - w.mean()), RADIUS)
    assert adapting["fade_rise_max_codes"] > 1


def test_windows_of_a_clip_repeat_its_ends() -> None:
    clip = torch.arange(4.0).reshape(4, 1, 1, 1)
    seen = [w.flatten().tolist() for w in temporal_checks.clip_windows(clip, 2)]
    assert seen == [[0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 3], [1, 2, 3, 3, 3]]

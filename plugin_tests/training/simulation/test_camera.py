"""The camera's true flow agrees with the pictures it renders."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from plugin_tests.training.conftest import panorama
from vsdslnet.training.config.dataset import MotionConfig
from vsdslnet.training.simulation.camera import EquirectCamera, MirroredCamera, Motion, PlanarCamera, sample_motion


def a_move(*, pan: float = 3.0) -> Motion:
    time = np.arange(5) - 2.0
    return Motion(pan_x=pan * time, pan_y=0.4 * pan * time, log_zoom=0.01 * time, roll=0.01 * time)


def cameras() -> list[EquirectCamera | PlanarCamera | MirroredCamera]:
    turning = EquirectCamera(map_width=512, width=128, height=72, fov=1.2, yaw=2.0, pitch=0.2, motion=a_move())
    sliding = PlanarCamera(centre_x=250.3, centre_y=120.7, scale=1.3, width=128, height=72, motion=a_move())
    return [turning, sliding, MirroredCamera(turning), MirroredCamera(sliding)]


@pytest.mark.parametrize("camera", cameras(), ids=["equirect", "planar", "equirect mirrored", "planar mirrored"])
def test_a_scene_point_looks_the_same_where_the_flow_says_it_went(
    camera: EquirectCamera | PlanarCamera | MirroredCamera,
) -> None:
    scene = np.log(panorama(3, width=512))
    views = []
    for frame in range(5):
        u, v = camera.source_xy(frame, 1.0)
        views.append(cv2.remap(scene, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP))
    y, x = np.mgrid[20:52, 24:104].astype(np.float32)
    for frame in (0, 1, 3, 4):
        moved_x, moved_y = camera.moved(frame, x, y)
        there = cv2.remap(views[frame], moved_x, moved_y, cv2.INTER_CUBIC)
        assert np.hypot(moved_x - x, moved_y - y).mean() > 2
        right = np.abs(there - views[2][20:52, 24:104]).mean()
        unmoved = np.abs(views[frame][20:52, 24:104] - views[2][20:52, 24:104]).mean()
        assert right < 0.03 * unmoved


def test_the_centre_of_the_picture_moves_as_fast_as_the_pan_asks() -> None:
    for camera in cameras()[:2]:
        x, y = np.float32([[63.5]]), np.float32([[35.5]])
        moved_x, moved_y = camera.moved(3, x, y)
        # The camera turns to the right, so the scene goes to the left.
        assert moved_x[0, 0] - 63.5 == pytest.approx(-3.0, abs=0.1)
        assert moved_y[0, 0] - 35.5 == pytest.approx(-1.2, abs=0.1)


def test_motion_is_drawn_in_the_recipes_shares_and_rests_at_the_centre() -> None:
    rng = np.random.default_rng(0)
    config = MotionConfig()
    moves = [sample_motion(rng, config, frames=5) for _ in range(2000)]
    still = np.mean([move.is_still for move in moves])
    assert still == pytest.approx(config.still_share, abs=0.03)
    assert all(move.pan_x[2] == move.pan_y[2] == move.log_zoom[2] == move.roll[2] == 0 for move in moves)
    slow = np.mean([abs(move.pan_x[3]) < config.subpixel_max_px for move in moves if not move.is_still])
    assert slow > config.subpixel_share
    assert max(move.reach_px for move in moves) < 2 * config.pan_max_px + 8

"""A virtual camera before a picture: where it stands, and the frames it films."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vsdslnet.training.config.dataset import ViewConfig
from vsdslnet.training.simulation.camera import Camera, EquirectCamera, MirroredCamera, Motion, PlanarCamera

__all__ = ["film", "sample_camera"]

Floats = NDArray[np.float32]


def sample_camera(
    rng: np.random.Generator, view: ViewConfig, level: Floats, motion: Motion, *, equirect: bool
) -> Camera:
    """A camera somewhere before a picture (H, W, C), sphere or plane, that moves like ``motion``."""
    height_px, width_px = level.shape[:2]
    camera: Camera
    if equirect:
        widths = view.hdri_widths if width_px <= 2048 else view.detailed_widths
        width, height = _size(rng, widths, 1e9)
        camera = EquirectCamera(
            map_width=width_px,
            width=width,
            height=height,
            fov=float(np.deg2rad(rng.uniform(*view.fov_degrees))),
            yaw=float(rng.uniform(-np.pi, np.pi)),
            pitch=float(np.deg2rad(rng.uniform(*view.pitch_degrees))),
            motion=motion,
        )
    else:
        width, height = _size(rng, view.detailed_widths, 1.25 * width_px)
        widest = min(width_px / width, height_px / height)
        scale = float(np.exp(rng.uniform(np.log(min(0.7, widest)), np.log(widest))))
        room = [(n - scale * m) / 2 - scale * motion.reach_px for n, m in ((width_px, width), (height_px, height))]
        x, y = (n / 2 + rng.uniform(-1, 1) * max(r, 0) for n, r in zip((width_px, height_px), room, strict=True))
        camera = PlanarCamera(centre_x=x, centre_y=y, scale=scale, width=width, height=height, motion=motion)
    return MirroredCamera(camera) if rng.random() < 0.5 else camera


def film(levels: list[Floats], camera: Camera, motion: Motion, *, wrap: bool) -> list[Floats]:
    """What the camera sees of a picture's pyramid, frame by frame: (H, W, C) each."""
    border = cv2.BORDER_WRAP if wrap else cv2.BORDER_REFLECT_101
    u, v = camera.source_xy(len(motion.pan_x) // 2, 1.0)
    # How many source px one view px steps over, at the picture's centre (u jumps where a map wraps).
    middle = camera.height // 2
    step = float(np.median(np.hypot(np.diff(u[middle]), np.diff(v[middle]))))
    number = int(np.clip(np.floor(np.log2(max(step, 1.0)) + 0.3), 0, len(levels) - 1))
    scale = levels[number].shape[1] / levels[0].shape[1]
    frames: list[Floats] = []
    for frame in range(len(motion.pan_x)):
        if motion.is_still and frames:
            frames.append(frames[0])
            continue
        u, v = camera.source_xy(frame, scale)
        level = levels[number]
        # OpenCV's cubic kernel takes four channels at most.
        parts = [level] if level.shape[2] <= 4 else [level[..., :3].copy(), level[..., 3:].copy()]
        moved = [cv2.remap(part, u, v, cv2.INTER_CUBIC, borderMode=border) for part in parts]
        frames.append(np.concatenate(moved, axis=2, dtype=np.float32))
    return frames


def _size(rng: np.random.Generator, widths: tuple[int, ...], limit: float) -> tuple[int, int]:
    """Width and height in pixels, 16:9 and even."""
    allowed = [w for w in widths if w <= limit] or [min(widths)]
    width = int(rng.choice(allowed))
    return width, 2 * round(width * 9 / 32)

"""A virtual camera: where each pixel of frame k looks, and where a scene point went (true flow)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vsdslnet.training.config.dataset import MotionConfig

__all__ = ["Camera", "EquirectCamera", "MirroredCamera", "Motion", "PlanarCamera", "sample_motion"]

Coordinates = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Per frame, relative to the centre frame (whose entries are 0): pan in px, zoom as ln, roll in radians."""

    pan_x: NDArray[np.float64]
    pan_y: NDArray[np.float64]
    log_zoom: NDArray[np.float64]
    roll: NDArray[np.float64]

    @property
    def is_still(self) -> bool:
        """Nothing moves at all."""
        return not (self.pan_x.any() or self.pan_y.any() or self.log_zoom.any() or self.roll.any())

    @property
    def reach_px(self) -> float:
        """The longest pan away from the centre frame."""
        return float(np.hypot(self.pan_x, self.pan_y).max())


def sample_motion(rng: np.random.Generator, config: MotionConfig, *, frames: int) -> Motion:
    """Draw a camera move: still, sub-pixel or faster, with shake, zoom and roll in their shares."""
    time = np.arange(frames) - frames // 2
    zeros = np.zeros(frames)
    if rng.random() < config.still_share:
        return Motion(pan_x=zeros, pan_y=zeros, log_zoom=zeros, roll=zeros)
    fastest = config.subpixel_max_px if rng.random() < config.subpixel_share else config.pan_max_px
    speed = rng.uniform(0, fastest)
    # Mostly sideways, as camera operators pan.
    angle = rng.normal(0, 0.35) + (np.pi if rng.random() < 0.5 else 0)
    if rng.random() < 0.25:
        angle += np.pi / 2
    along = speed * (time + 0.04 * rng.normal() * time * np.abs(time))
    x, y = along * np.cos(angle), along * np.sin(angle)
    if rng.random() < config.shake_share:
        x = x + _from_centre(rng.normal(0, config.shake_px, frames))
        y = y + _from_centre(rng.normal(0, config.shake_px, frames))
    zoom = zeros
    if rng.random() < config.zoom_share:
        zoom = np.asarray(rng.uniform(-config.zoom_max, config.zoom_max) * time)
    roll: NDArray[np.float64] = zeros
    if rng.random() < config.roll_share:
        roll = np.deg2rad(rng.uniform(-config.roll_max_degrees, config.roll_max_degrees)) * time
    return Motion(pan_x=x, pan_y=y, log_zoom=zoom, roll=roll)


def _from_centre(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values - values[len(values) // 2])


class Camera(Protocol):
    """What a shot needs from a camera; coordinates are pixel centres at integers."""

    width: int
    height: int

    def source_xy(self, frame: int, scale: float) -> tuple[Coordinates, Coordinates]:
        """Coordinates in a source picture (shrunk by ``scale``) seen by each pixel of the view."""
        ...

    def moved(self, frame: int, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Where the scene points at view pixels (x, y) of the centre frame are in ``frame``."""
        ...


class EquirectCamera:
    """A pinhole camera that turns inside an equirectangular map (``width`` x ``width/2`` px)."""

    def __init__(
        self,
        *,
        map_width: int,
        width: int,
        height: int,
        fov: float,
        yaw: float,
        pitch: float,
        motion: Motion,
    ) -> None:
        """All angles in radians; ``fov`` is horizontal."""
        self.map_width, self.width, self.height = map_width, width, height
        focal = width / 2 / np.tan(fov / 2)
        self._focal = focal * np.exp(motion.log_zoom)
        # The first-order angle keeps the pan's speed in px right at the picture's centre.
        self._rotation = [
            _turn_y(yaw + px / focal) @ _turn_x(pitch + py / focal) @ _turn_z(roll)
            for px, py, roll in zip(motion.pan_x, motion.pan_y, motion.roll, strict=True)
        ]
        self._centre = len(self._rotation) // 2

    def _rays(self, frame: int, x: Coordinates, y: Coordinates) -> NDArray[np.float32]:
        focal = self._focal[frame]
        rays = np.stack([(x - (self.width - 1) / 2) / focal, (y - (self.height - 1) / 2) / focal, np.ones_like(x)], -1)
        return (rays @ self._rotation[frame].T).astype(np.float32)

    def source_xy(self, frame: int, scale: float) -> tuple[Coordinates, Coordinates]:
        """See :class:`Camera`."""
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        ray = torch.from_numpy(self._rays(frame, x, y))
        longitude = torch.atan2(ray[..., 0], ray[..., 2])
        latitude = torch.atan2(ray[..., 1], torch.hypot(ray[..., 0], ray[..., 2]))
        width = self.map_width * scale
        u = (longitude / (2 * np.pi) + 0.5) * width - 0.5
        v = (latitude / np.pi + 0.5) * (width / 2) - 0.5
        return u.numpy(), v.clamp(0, width / 2 - 1).numpy()

    def moved(self, frame: int, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
        """See :class:`Camera`."""
        ray = self._rays(self._centre, x, y) @ self._rotation[frame]
        focal = self._focal[frame]
        with np.errstate(divide="ignore", invalid="ignore"):
            moved_x = focal * ray[..., 0] / ray[..., 2] + (self.width - 1) / 2
            moved_y = focal * ray[..., 1] / ray[..., 2] + (self.height - 1) / 2
        return moved_x.astype(np.float32), moved_y.astype(np.float32)


class MirroredCamera:
    """Another camera's view, left and right exchanged."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.width, self.height = camera.width, camera.height

    def source_xy(self, frame: int, scale: float) -> tuple[Coordinates, Coordinates]:
        """See :class:`Camera`."""
        u, v = self._camera.source_xy(frame, scale)
        return np.ascontiguousarray(u[:, ::-1]), np.ascontiguousarray(v[:, ::-1])

    def moved(self, frame: int, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
        """See :class:`Camera`."""
        moved_x, moved_y = self._camera.moved(frame, np.float32(self.width - 1) - x, y)
        return np.float32(self.width - 1) - moved_x, moved_y


class PlanarCamera:
    """A rostrum camera over a photograph: pan, zoom and roll in its plane."""

    def __init__(
        self, *, centre_x: float, centre_y: float, scale: float, width: int, height: int, motion: Motion
    ) -> None:
        """``scale`` is source px per view px; the centre is in source px."""
        self.width, self.height = width, height
        self._origin = np.array([centre_x, centre_y])
        self._scale = scale
        self._motion = motion
        self._centre = len(motion.pan_x) // 2

    def _to_source(self, frame: int, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
        motion = self._motion
        step = self._scale * np.exp(-motion.log_zoom[frame])
        cos, sin = np.cos(motion.roll[frame]) * step, np.sin(motion.roll[frame]) * step
        dx, dy = x - (self.width - 1) / 2, y - (self.height - 1) / 2
        u = cos * dx - sin * dy + self._origin[0] + motion.pan_x[frame] * self._scale
        v = sin * dx + cos * dy + self._origin[1] + motion.pan_y[frame] * self._scale
        return u.astype(np.float32), v.astype(np.float32)

    def source_xy(self, frame: int, scale: float) -> tuple[Coordinates, Coordinates]:
        """See :class:`Camera`."""
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        u, v = self._to_source(frame, x, y)
        # Pixel centres sit at halves of a pixel: they shift when the picture shrinks.
        return (u + 0.5) * np.float32(scale) - 0.5, (v + 0.5) * np.float32(scale) - 0.5

    def moved(self, frame: int, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
        """See :class:`Camera`."""
        u, v = self._to_source(self._centre, x, y)
        motion = self._motion
        u = u - self._origin[0] - motion.pan_x[frame] * self._scale
        v = v - self._origin[1] - motion.pan_y[frame] * self._scale
        step = np.exp(motion.log_zoom[frame]) / self._scale
        cos, sin = np.cos(motion.roll[frame]) * step, np.sin(motion.roll[frame]) * step
        moved_x = cos * u + sin * v + (self.width - 1) / 2
        moved_y = -sin * u + cos * v + (self.height - 1) / 2
        return moved_x.astype(np.float32), moved_y.astype(np.float32)


def _turn_x(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, s], [0, -s, c]])


def _turn_y(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _turn_z(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])

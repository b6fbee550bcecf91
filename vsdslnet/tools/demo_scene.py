"""A small synthetic SDR scene: a lighthouse over a sea at dusk, for trying the program out.

Light is computed relative to diffuse white and then clipped and coded as a camera would do it, so that the
sun, its glitter and the lamp are as blown out as in real SDR video. Pure numpy; the same picture everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["dusk_frames", "dusk_light"]

Picture = NDArray[np.float64]

_HORIZON = 0.6
_SUN = (0.68, 0.5)
_LAMP = (0.235, 0.255)


def dusk_frames(width: int = 384, height: int = 216, frames: int = 24) -> Iterator[NDArray[np.uint8]]:
    """SDR frames (height, width, 3), R'G'B' 0..255, BT.709 coded for a BT.1886 display, with a little sensor noise."""
    random = np.random.default_rng(20)
    for index in range(frames):
        light = dusk_light(width, height, index)
        light = light + random.normal(0, 0.004, light.shape) * np.sqrt(np.clip(light, 0.02, 1))
        signal = np.clip(light, 0, 1) ** (1 / 2.4)
        yield np.round(255 * signal).astype(np.uint8)


def dusk_light(width: int, height: int, index: int) -> Picture:
    """The scene's light (height, width, 3), linear BT.709, 1 = diffuse white, up to about 30."""
    y, x = np.mgrid[0:height, 0:width]
    # The camera drifts to the right by a third of a pixel a frame.
    u = (x + 0.5 + index / 3) / width
    v = (y + 0.5) / height
    aspect = width / height
    light = _sky(u, v, aspect)
    sea = v > _HORIZON
    light[sea] = _sea(u, v, aspect, index)[sea]
    _paint(light, _rock(u, v), np.array([0.006, 0.005, 0.007]))
    tower, stripes = _tower(u, v)
    _paint(light, tower, np.where(stripes[..., None], [0.16, 0.03, 0.025], [0.2, 0.17, 0.16]))
    return light + _lamp(u, v, aspect, index)


def _sky(u: Picture, v: Picture, aspect: float) -> Picture:
    height = np.clip((_HORIZON - v) / _HORIZON, 0, 1)[..., None]
    sky = np.array([0.95, 0.36, 0.12]) * (1 - height) ** 3 + np.array([0.1, 0.17, 0.38]) * height**0.6
    clouds = _waves(u * 3.1, v * 17, 7)[..., None] * np.exp(-(((height - 0.38) / 0.2) ** 2))
    sky = sky * (1 - 0.45 * clouds) + np.array([0.5, 0.15, 0.06]) * clouds * (1 - height)
    distance = np.hypot((u - _SUN[0]) * aspect, v - _SUN[1])[..., None]
    sun = _edge(0.045 - distance, 0.004)
    glow = 0.9 * np.exp(-distance / 0.09) + 0.35 * np.exp(-distance / 0.3)
    return np.asarray(sky + glow * np.array([1.0, 0.55, 0.2]) + sun * np.array([30.0, 19.0, 9.0]))


def _sea(u: Picture, v: Picture, aspect: float, index: int) -> Picture:
    depth = np.clip((v - _HORIZON) / (1 - _HORIZON), 1e-3, 1)
    ripple = _waves(u * 2.2 / (0.12 + depth), 9 * np.log(depth) + 0.35 * index, 3)
    mirror = _sky(u, np.clip(2 * _HORIZON - v + 0.05 * (ripple - 0.5), 0, _HORIZON), aspect)
    sea = np.clip(mirror, 0, 0.9) * (0.32 - 0.18 * depth[..., None]) + np.array([0.006, 0.02, 0.035])
    path = np.exp(-(((u - _SUN[0]) / (0.03 + 0.11 * depth)) ** 2))
    glitter = np.clip(ripple - 0.62, 0, 1) ** 2 * path * 60
    return np.asarray(sea + glitter[..., None] * np.array([1.0, 0.62, 0.28]))


def _rock(u: Picture, v: Picture) -> Picture:
    top = 0.53 + 1.0 * np.abs(u - 0.22) ** 1.25 + 0.025 * _waves(u * 9, u * 0, 5)
    return _edge(v - top)


def _tower(u: Picture, v: Picture) -> tuple[Picture, NDArray[np.bool_]]:
    width = 0.012 + 0.02 * np.clip((v - 0.28) / 0.3, 0, 1)
    inside = _edge(width - np.abs(u - _LAMP[0])) * _edge(v - 0.28) * _edge(0.56 - v)
    cabin = _edge(0.013 - np.abs(u - _LAMP[0])) * _edge(v - 0.225) * _edge(0.285 - v)
    return np.clip(inside + cabin, 0, 1), (np.floor((v - 0.28) / 0.055) % 2) == 0


def _lamp(u: Picture, v: Picture, aspect: float, index: int) -> Picture:
    distance = np.hypot((u - _LAMP[0]) * aspect, v - _LAMP[1])
    turn = 0.75 + 0.25 * np.cos(index / 12 * np.pi)
    core = 16 * _edge(0.012 - distance, 0.003)
    glow = 0.5 * np.exp(-distance / 0.03) + 0.12 * np.exp(-distance / 0.12)
    return np.asarray(turn * (core + glow)[..., None] * np.array([1.0, 0.93, 0.75]))


def _waves(a: Picture, b: Picture, seed: int) -> Picture:
    """Smooth noise 0..1 as a sum of a few sines of unlike directions."""
    random = np.random.default_rng(seed)
    total = np.zeros(np.broadcast(a, b).shape)
    for octave in range(5):
        ka, kb, phase = random.uniform(0.6, 1.6, 3) * [2.3, 1.7, 6.0] * 1.9**octave
        total = total + np.sin(ka * a + kb * b + phase) / 1.5**octave
    return np.asarray(0.5 + 0.5 * np.tanh(total))


def _edge(distance: Picture, softness: float = 0.002) -> Picture:
    return np.asarray(np.clip(0.5 + distance / softness / 2, 0, 1))


def _paint(light: Picture, alpha: Picture, color: NDArray[np.float64]) -> None:
    light += alpha[..., None] * (color - light)

"""Foreground layers: cut-outs of other scenes and saturated lights, each with its own motion."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vsdslnet.training.config.dataset import LayerConfig

__all__ = ["Layer", "composite", "cutout_layer", "layer_alpha", "light_layer"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A patch over the view: light (h, w, 3), soft alpha (h, w), and its corner's place in each frame (px)."""

    light: Floats
    alpha: Floats
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def _path(
    rng: np.random.Generator, config: LayerConfig, *, still: bool, frames: int, width: int, height: int, size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    time = np.arange(frames) - frames // 2
    speed = 0.0 if still else rng.uniform(0, config.pan_max_px)
    angle = rng.uniform(0, 2 * np.pi)
    x = rng.uniform(-0.3 * size, width - 0.7 * size) + speed * np.cos(angle) * time
    y = rng.uniform(-0.3 * size, height - 0.7 * size) + speed * np.sin(angle) * time * 0.5
    return x, y


def _blob(rng: np.random.Generator, size: int, *, softness_px: float) -> Floats:
    """A random closed shape with a soft edge: an ellipse whose radius wobbles."""
    v, u = (np.mgrid[:size, :size] - (size - 1) / 2) / (size / 2)
    angle = np.arctan2(v, u)
    radius = 0.62 + sum(rng.normal(0, 0.09 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(1, 5))
    aspect = np.exp(rng.normal(0, 0.3))
    distance = (radius - np.hypot(u * aspect, v / aspect)) * size / 2
    alpha = np.clip(distance / softness_px + 0.5, 0, 1)
    return np.asarray(alpha * alpha * (3 - 2 * alpha), dtype=np.float32)


def cutout_layer(
    rng: np.random.Generator, config: LayerConfig, texture: Floats, *, still: bool, frames: int, width: int, height: int
) -> Layer:
    """A cut-out of a square picture of another scene's light, already in this scene's units."""
    size = texture.shape[0]
    x, y = _path(rng, config, still=still, frames=frames, width=width, height=height, size=size)
    return Layer(light=texture, alpha=_blob(rng, size, softness_px=rng.uniform(1, 5)), x=x, y=y)


def light_layer(
    rng: np.random.Generator, config: LayerConfig, *, gain: float, still: bool, frames: int, width: int, height: int
) -> Layer:
    """A saturated lamp or sign with a glow; ``gain`` is the shot's factor from scene units to cd/m²."""
    size = int(rng.uniform(0.06, 0.35) * width)
    x, y = _path(rng, config, still=still, frames=frames, width=width, height=height, size=size)
    hue = rng.uniform(0, 6)
    pure = np.clip(2 - np.abs((hue - np.array([0, 2, 4]) + 3) % 6 - 3), 0, 1)
    colour = pure + rng.uniform(0, 0.12) * (1 - pure)
    low, high = np.log(config.light_nits)
    nits = float(np.exp(rng.uniform(low, high)))
    core = _blob(rng, size, softness_px=rng.uniform(1, 4))
    glow = np.asarray(cv2.GaussianBlur(core, (0, 0), max(size / 8, 1.0)), dtype=np.float32)
    # The window takes the glow to 0 at the patch's edge, or a square would show.
    v, u = (np.mgrid[:size, :size] - (size - 1) / 2) / (size / 2)
    edge = np.clip(1 - np.maximum(u * u, v * v) ** 2, 0, 1).astype(np.float32)
    alpha = np.maximum(core, 0.5 * glow) * edge
    light = np.broadcast_to((colour * nits / max(gain, 1e-6)).astype(np.float32), (size, size, 3))
    return Layer(light=np.ascontiguousarray(light), alpha=alpha, x=x, y=y)


def layer_alpha(layer: Layer, frame: int, *, width: int, height: int) -> Floats:
    """The layer's alpha over the whole view in a frame."""
    shift = np.array([[1, 0, layer.x[frame]], [0, 1, layer.y[frame]]])
    return np.asarray(cv2.warpAffine(layer.alpha, shift, (width, height), flags=cv2.INTER_LINEAR), dtype=np.float32)


def composite(background: Floats, layer: Layer, frame: int) -> Floats:
    """The layer over a view (H, W, 3), premultiplied so that its edge brings no dark fringe."""
    height, width = background.shape[:2]
    shift = np.array([[1, 0, layer.x[frame]], [0, 1, layer.y[frame]]])
    patch = np.dstack([layer.light * layer.alpha[..., None], layer.alpha])
    moved = np.asarray(cv2.warpAffine(patch, shift, (width, height), flags=cv2.INTER_LINEAR), dtype=np.float32)
    return background * (1 - moved[..., 3:]) + moved[..., :3]

"""What moves in front of a scene: which layers a shot gets."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vsdslnet.training.config.dataset import LayerConfig
from vsdslnet.training.material.pyramid import from_root
from vsdslnet.training.material.scenes import Scene, load_radiance
from vsdslnet.training.simulation.camera import Camera, EquirectCamera, Motion
from vsdslnet.training.simulation.layers import Layer, cutout_layer, light_layer

__all__ = ["sample_layers"]

Floats = NDArray[np.float32]


def sample_layers(
    rng: np.random.Generator,
    config: LayerConfig,
    textures: Sequence[Scene],
    camera: Camera,
    light: Floats,
    *,
    gain: float,
    still: bool,
    frames: int,
) -> list[Layer]:
    """Cut-outs of ``textures`` and lights that move before a picture of this radiance (H, W, 3)."""
    layers = []
    width, height = camera.width, camera.height
    # A still shot may have a still foreground, or one that moves before a still background.
    if rng.random() < config.cutout_share and textures:
        for _ in range(int(rng.integers(1, config.max_layers + 1))):
            size = int(rng.uniform(0.2, 0.6) * width)
            texture = _texture(rng, textures, size)
            level = float(np.exp(np.log(light.mean(axis=2)[::4, ::4] + 1e-6).mean()))
            own = float(np.exp(np.log(texture.mean(axis=2) + 1e-6).mean()))
            texture = texture * np.float32(level / own * 2 ** rng.normal(0, 1))
            rest = still and rng.random() < 0.5
            layers.append(cutout_layer(rng, config, texture, still=rest, frames=frames, width=width, height=height))
    if rng.random() < config.light_share:
        for _ in range(int(rng.integers(1, config.max_layers + 1))):
            rest = still or rng.random() < 0.3
            layers.append(light_layer(rng, config, gain=gain, still=rest, frames=frames, width=width, height=height))
    return layers


def _texture(rng: np.random.Generator, textures: Sequence[Scene], size: int) -> Floats:
    """A square piece of one of the scenes, as radiance."""
    scene = textures[int(rng.integers(len(textures)))]
    level = load_radiance(scene).levels[0]
    if scene.equirect:
        zero = np.zeros(1)
        camera = EquirectCamera(
            map_width=level.shape[1],
            width=size,
            height=size,
            fov=float(np.deg2rad(rng.uniform(20, 50))),
            yaw=float(rng.uniform(-np.pi, np.pi)),
            pitch=float(np.deg2rad(rng.uniform(-25, 25))),
            motion=Motion(pan_x=zero, pan_y=zero, log_zoom=zero, roll=zero),
        )
        u, v = camera.source_xy(0, 1.0)
        return from_root(np.asarray(cv2.remap(level, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)))
    side = int(min(size, *level.shape[:2]))
    y, x = (int(rng.integers(n - side + 1)) for n in level.shape[:2])
    patch = cv2.resize(level[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_CUBIC)
    return from_root(np.asarray(patch))

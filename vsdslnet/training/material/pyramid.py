"""The pyramids that a virtual camera samples from."""

from __future__ import annotations

import cv2
import numpy as np

from vsdslnet.stills.radiance import Image

__all__ = ["area_pyramid", "from_root", "to_root"]


def area_pyramid(image: Image, *, smallest: int = 256) -> list[Image]:
    """The picture and its halvings by area average (so in linear light), down to ``smallest`` px wide."""
    levels = [image]
    while levels[-1].shape[1] >= 2 * smallest:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))  # type: ignore[arg-type]
    return levels


def to_root(light: Image) -> Image:
    """Fourth root: near enough to perception that cubic interpolation of suns does not ring."""
    return np.sqrt(np.sqrt(light))


def from_root(root: Image) -> Image:
    """Inverse of :func:`to_root`; undershoot of the interpolation counts as black."""
    return np.square(np.square(np.maximum(root, 0)))

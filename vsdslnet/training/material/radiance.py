"""Reading linear radiance (Radiance RGBE, OpenEXR) and the pyramids a virtual camera samples from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vsdslnet.errors import MediaError

__all__ = ["Image", "area_pyramid", "clean_radiance", "from_root", "read_radiance", "to_root"]

Image = NDArray[np.float32]
"""Height x width x channels, float32."""

_MAX_OVER_MEDIAN = 20_000.0


def read_radiance(path: Path) -> Image:
    """Linear RGB (height, width, 3), BT.709 primaries, of a ``.hdr`` or ``.exr`` file; MediaError if unreadable."""
    image: Any
    if path.suffix.lower() == ".exr":
        image = _read_exr(path)
    else:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3:
            raise MediaError(f"{path.name} is not a picture with three channels that can be read")
        image = image[..., 2::-1]
    return clean_radiance(np.ascontiguousarray(image, dtype=np.float32))


def _read_exr(path: Path) -> Any:
    import OpenEXR  # type: ignore[import-not-found]

    try:
        with OpenEXR.File(str(path)) as file:
            channels = file.channels()
            if "RGB" in channels or "RGBA" in channels:
                return channels.get("RGB", channels.get("RGBA")).pixels[..., :3]
            return np.stack([channels[name].pixels for name in "RGB"], axis=-1)
    except (RuntimeError, KeyError, OSError, ValueError) as error:
        raise MediaError(f"{path.name} is not an OpenEXR picture with R, G and B ({error})") from error


def clean_radiance(image: Image) -> Image:
    """Without NaN, infinity and negative light; suns beyond 20,000 times the median are cut there.

    The cut is far above what any grade keeps, and spares the interpolation kernels.
    """
    image = np.nan_to_num(image, nan=0.0, posinf=65504.0, neginf=0.0)
    image = np.maximum(image, 0)
    middle = max(float(np.median(image)), 1e-4)
    return np.minimum(image, np.float32(_MAX_OVER_MEDIAN * middle))


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

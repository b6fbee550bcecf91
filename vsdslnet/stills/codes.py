"""The codes of a picture, whatever they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vsdslnet.errors import MediaError

__all__ = ["read_rgb"]


def read_rgb(path: Path) -> NDArray[Any]:
    """The codes of an RGB picture, (H, W, 3); MediaError if it is none."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3:
        raise MediaError(f"{path}: is not a colour picture that can be read")
    return np.ascontiguousarray(picture[..., 2::-1])

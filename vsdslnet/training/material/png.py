"""Pictures of the data folder: 8-bit SDR, and 10-bit PQ codes in the upper bits of 16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vsdslnet.errors import MediaError

__all__ = ["read_pq_signal", "read_rgb"]


def read_rgb(path: Path) -> NDArray[Any]:
    """The codes of an RGB picture, (H, W, 3); MediaError if it is none."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3:
        raise MediaError(f"{path}: is not a colour picture that can be read")
    return np.ascontiguousarray(picture[..., 2::-1])


def read_pq_signal(path: Path) -> NDArray[np.float32]:
    """PQ 0..1 of 10-bit codes shifted to the top of 16 bits, (H, W, 3); MediaError if they can't be read."""
    return np.asarray((read_rgb(path).astype(np.uint16) >> 6) / 1023, dtype=np.float32)

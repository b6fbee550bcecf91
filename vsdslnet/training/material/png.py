"""HDR pictures of the data folder: 10-bit PQ codes in the upper bits of 16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsdslnet.stills.codes import read_rgb

__all__ = ["read_pq_signal"]


def read_pq_signal(path: Path) -> NDArray[np.float32]:
    """PQ 0..1 of 10-bit codes shifted to the top of 16 bits, (H, W, 3); MediaError if they can't be read."""
    return np.asarray((read_rgb(path).astype(np.uint16) >> 6) / 1023, dtype=np.float32)

"""Looks that exist as tables, measured or published, and the files they lie in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vsdslnet.color.transfer import nits_to_pq
from vsdslnet.errors import MediaError

__all__ = ["broadcast", "read_cube", "read_table", "smooth_lut", "youtube"]


def youtube(nits: Tensor, *, lut: Tensor) -> Tensor:
    """YouTube's own HDR10 -> SDR conversion, by trilinear interpolation of its measured table."""
    return _by_table(lut, nits_to_pq(nits)).clamp(0, 1)


def broadcast(nits: Tensor, *, lut: Tensor) -> Tensor:
    """NBCUniversal's own PQ -> SDR conversion (display light), from its public .cube.

    Its "Type III" means narrow-range codes on both sides: 64 to 940 of 1023 are black to white.
    """
    low, span = 64 / 1023, 876 / 1023
    narrow = torch.as_tensor(low) + span * nits_to_pq(nits.clamp(max=1000))
    return ((_by_table(lut, narrow) - low) / span).clamp(0, 1)


def read_table(path: Path) -> Tensor:
    """A look's table: a .cube, or measured codes as .npy (:func:`smooth_lut`)."""
    return read_cube(path) if path.suffix == ".cube" else smooth_lut(np.load(path))


def read_cube(path: Path) -> Tensor:
    """A 3D .cube file (Adobe Cube LUT 1.0, red fastest) as (1, 3, S, S, S); MediaError if it is none."""
    numbers, side = [], 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if words[:1] == ["LUT_3D_SIZE"]:
            side = int(words[1])
        elif len(words) == 3 and words[0][0] in "-.0123456789":
            numbers.append([float(word) for word in words])
    if side < 2 or len(numbers) != side**3:
        raise MediaError(f"{path.name}: is no 3D .cube file")
    return torch.tensor(numbers).view(1, side, side, side, 3).permute(0, 4, 1, 2, 3).contiguous()


def smooth_lut(codes: np.ndarray, *, sigma: float = 0.8) -> Tensor:
    """A measured 65^3 x 3 table of 8-bit codes (index B, G, R) as (1, 3, 65, 65, 65) signal, capture noise smoothed."""
    signal = codes.astype(np.float64) / 255
    taps = np.exp(-0.5 * (np.arange(-3, 4) / sigma) ** 2)
    taps /= taps.sum()
    smooth = signal
    for axis in range(3):
        padded = np.pad(smooth, [(3, 3) if a == axis else (0, 0) for a in range(4)], mode="edge")
        count = signal.shape[axis]
        smooth = sum(tap * np.take(padded, range(k, k + count), axis) for k, tap in enumerate(taps))
    # Black and the axis to it stay what was measured, or black would be lifted.
    smooth[0, 0, 0] = signal[0, 0, 0]
    return torch.from_numpy(np.moveaxis(smooth, 3, 0).astype(np.float32))[None]


def _by_table(lut: Tensor, signal: Tensor) -> Tensor:
    """Trilinear interpolation of (1, 3, S, S, S) [B][G][R] at (frames, 3, H, W)."""
    frames, _, height, width = signal.shape
    # grid_sample's last axis is (x, y, z) = (R, G, B), as the table is indexed [B][G][R].
    grid = (2 * signal - 1).permute(0, 2, 3, 1).reshape(1, 1, frames, height * width, 3)
    out = torch.nn.functional.grid_sample(lut, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return out.reshape(3, frames, height, width).transpose(0, 1)

"""What surrounds a pixel, up to the edges: the level that the gain of real masters follows instead of the pixel's own.

Cameras and editors make HDR by a gain map, which is coarse: a pixel gets the gain of its neighbourhood, so detail keeps
the SDR picture's contrast instead of being stretched or squeezed by the tone curve. The neighbourhood is the guided
filter of He et al. 2013 with the picture as its own guide, in its fast form (He and Sun 2015): two coarse planes, a
slope and an offset, that are read bilinearly and make of a pixel's level the level around it. They come from the frame
averaged down to the same few thousand positions whatever its size, so a picture looks alike at any resolution, and any
part of a frame can be computed by itself.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["neighbourhood_lines", "surrounding"]

_EDGE = 0.1
"""Standard deviation of levels in a neighbourhood above which it counts as an edge."""


def neighbourhood_lines(level: Tensor, radius: int) -> Tensor:
    """Levels 0..1 (N, 1, h, w) of a frame averaged down -> the slope and the offset of each position (N, 2, h, w).

    ``radius`` is in positions: a square of 2r+1 of them is a neighbourhood.
    """
    mean = _box(level, radius)
    variance = (_box(level * level, radius) - mean * mean).clamp(min=0)
    slope = variance / (variance + _EDGE**2)
    return _box(torch.cat([slope, mean * (1 - slope)], dim=1), radius)


def surrounding(level: Tensor, lines: Tensor) -> Tensor:
    """Levels (..., 1, H, W) and the lines at each of them (..., 2, H, W) -> the level around each, 0..1."""
    slope, offset = lines.unbind(-3)
    return torch.addcmul(offset.unsqueeze(-3), slope.unsqueeze(-3), level).clamp(0, 1)


def _box(planes: Tensor, radius: int) -> Tensor:
    """Mean over a square of 2r+1; at the picture's border over what of it lies inside."""
    return F.avg_pool2d(planes, 2 * radius + 1, 1, radius, count_include_pad=False)

"""Neighbours that show something else: a flash, or the other side of a cut that nobody marked."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.primaries import BT709_LUMA
from vsdslnet.network.side_by_side import Everywhere, each, on_this_thread

__all__ = ["without_foreign_frames"]

_GRID = (9, 16)
_FOREIGN = 0.1
"""Difference of the signal (0..1) that at least half of the picture shows. Something that enters, however bright,
covers less; a camera that moves changes little of a 9 x 16 picture; a fade takes longer than a window."""


def without_foreign_frames(window: Tensor, everywhere: Everywhere = on_this_thread) -> Tensor:
    """SDR frames (2T+1, 3, H, W) with the next frame towards the centre in the place of each foreign one.

    Alignment has nothing to align there, and the light of a flash is no news about its neighbours.
    """
    weights = torch.tensor(BT709_LUMA, dtype=window.dtype, device=window.device).view(1, 3, 1, 1)
    # Luma of averages is the average of luma, without a product as large as the window.
    averages = torch.stack(each(lambda frame: F.adaptive_avg_pool2d(frame, _GRID), window, everywhere))
    small = (averages * weights).sum(dim=1)
    centre = len(window) // 2
    foreign = ((small - small[centre]).abs().flatten(1).median(dim=1).values > _FOREIGN).tolist()
    if not any(foreign):
        return window
    frames = list(range(len(window)))
    for frame in range(centre + 1, len(window)):
        frames[frame] = frames[frame - 1] if foreign[frame] else frame
    for frame in range(centre - 1, -1, -1):
        frames[frame] = frames[frame + 1] if foreign[frame] else frame
    return window[frames]

"""Neighbours that show something else: a flash, or the other side of a cut that nobody marked."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.primaries import BT709_LUMA
from vsdslnet.network.side_by_side import Everywhere, each, on_this_thread

__all__ = ["without_foreign_frames", "without_foreign_frames_on_device"]

_GRID = (9, 16)
_FOREIGN = 0.1
"""Difference of the signal (0..1) that at least half of the picture shows. Something that enters, however bright,
covers less; a camera that moves changes little of a 9 x 16 picture; a fade takes longer than a window."""


def without_foreign_frames(window: Tensor, everywhere: Everywhere = on_this_thread) -> Tensor:
    """SDR frames (2T+1, 3, H, W) with the next frame towards the centre in the place of each foreign one.

    Alignment has nothing to align there, and the light of a flash is no news about its neighbours.
    """
    foreign = _are_foreign(window, everywhere).tolist()
    if not any(foreign):
        return window
    centre = len(window) // 2
    frames = list(range(len(window)))
    for frame in range(centre + 1, len(window)):
        frames[frame] = frames[frame - 1] if foreign[frame] else frame
    for frame in range(centre - 1, -1, -1):
        frames[frame] = frames[frame + 1] if foreign[frame] else frame
    return window[frames]


def without_foreign_frames_on_device(window: Tensor) -> Tensor:
    """:func:`without_foreign_frames` as a copy, without asking the device which frames they are."""
    foreign = _are_foreign(window, on_this_thread)
    centre = len(window) // 2
    frames = list(torch.arange(len(window), device=window.device).unbind())
    for frame in range(centre + 1, len(window)):
        frames[frame] = torch.where(foreign[frame], frames[frame - 1], frames[frame])
    for frame in range(centre - 1, -1, -1):
        frames[frame] = torch.where(foreign[frame], frames[frame + 1], frames[frame])
    return window.index_select(0, torch.stack(frames))


def _are_foreign(window: Tensor, everywhere: Everywhere) -> Tensor:
    """Which frames are, by their 9 x 16 pictures: (2T+1,) booleans."""
    # Filled where the window lies: copying numbers to a device would wait for it.
    weights = torch.cat([window.new_full((1,), share) for share in BT709_LUMA]).view(1, 3, 1, 1)
    # Luma of averages is the average of luma, without a product as large as the window.
    averages = torch.stack(each(lambda frame: F.adaptive_avg_pool2d(frame, _GRID), window, everywhere))
    small = (averages * weights).sum(dim=1)
    difference = (small - small[len(window) // 2]).abs().flatten(1)
    return difference.median(dim=1).values > _FOREIGN

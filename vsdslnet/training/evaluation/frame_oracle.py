"""The most that blending frames could take away, by somebody who has seen the clean frame.

Both answers are least squares towards the clean frame over what the other frames differ from the centre one, motion
compensated as the network gets them: bounds for everything that weighs frames, be it by deformable convolution,
by attention or by :mod:`vsdslnet.network.frame_blend`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["BLOCK_PX", "best_blend", "best_blend_of_blocks"]

BLOCK_PX = 16
"""Side of a block. Its 768 values are matched by 4 numbers: chance alone takes 0.5 % of an error, 0.02 dB."""
_RIDGE = 1e-8
"""Added to squares of differences (signal 0..1), so that frames that are alike get equal weights."""


def best_blend(window: Tensor, clean: Tensor) -> Tensor:
    """Frames (2T+1, 3, H, W) with one weight a frame, the best for ``clean`` (3, H, W): (3, H, W)."""
    centre, apart = _differences(window)
    moved = _least_squares(apart.flatten(1)[None], (clean.double() - centre).flatten()[None])
    return (centre + moved.view_as(centre)).clamp(0, 1).to(window.dtype)


def best_blend_of_blocks(window: Tensor, clean: Tensor) -> Tensor:
    """:func:`best_blend` with weights for every block of ``BLOCK_PX``; pixels beyond whole blocks stay as they are."""
    centre, apart = _differences(window)
    height, width = (side // BLOCK_PX * BLOCK_PX for side in centre.shape[-2:])
    others = len(apart)
    missing = (clean.double() - centre)[None, :, :height, :width]
    planes = apart[:, :, :height, :width].flatten(0, 1)[None]
    blocks, wanted = (F.unfold(values, BLOCK_PX, stride=BLOCK_PX)[0].T for values in (planes, missing))
    moved = _least_squares(blocks.reshape(len(blocks), others, -1), wanted)
    folded = F.fold(moved.T[None], (height, width), BLOCK_PX, stride=BLOCK_PX)[0]
    out = centre.clone()
    out[:, :height, :width] += folded
    return out.clamp(0, 1).to(window.dtype)


def _differences(window: Tensor) -> tuple[Tensor, Tensor]:
    """The centre frame and what the others differ from it (2T, 3, H, W), in double."""
    radius, frames = len(window) // 2, window.double()
    return frames[radius], torch.cat([frames[:radius], frames[radius + 1 :]]) - frames[radius]


def _least_squares(directions: Tensor, wanted: Tensor) -> Tensor:
    """What of ``wanted`` (B, P) the ``directions`` (B, K, P) can make: (B, P)."""
    gram = directions @ directions.mT + _RIDGE * directions.shape[-1] * torch.eye(directions.shape[1]).double()
    weights = torch.linalg.solve(gram, directions @ wanted[..., None])
    made: Tensor = (weights.mT @ directions)[:, 0]
    return made

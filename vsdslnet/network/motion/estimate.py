"""How each frame of a window moved against its centre: the camera first, then each place."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.network.motion.arithmetic import HOST, LUMA_DEVIATION, Arithmetic
from vsdslnet.network.motion.fields import affine, constants, resized, sampled
from vsdslnet.network.side_by_side import Everywhere, each, on_this_thread

__all__ = ["estimated", "motion_px", "others"]

_MOST_PIXELS = 640 * 360
"""Larger frames are averaged down to this before their motion is looked at."""
_COARSEST_PX = 12
"""Shorter side below which no level of the pyramid goes."""
_AFFINE_PX = 24
"""Shorter side from which on the camera may zoom and turn; below, it only pans."""
_CAMERA_STEPS = 3
"""At each level; the finest, which costs as much as all others, takes one."""
_LOCAL_LEVELS = 3
_LOCAL_RADIUS_PX = 3
_LOCAL_HOLD = 6.0
"""How strongly a place without texture is held to the camera's motion, against the noise."""
_LEAST_HOLD = 2e-5
_MOST_LOCAL_STEP_PX = 1.0
_HIGH_PASS_RADIUS_PX = 8
_MATCH_RADIUS_PX = 4
_STILL_MARGIN = 0.8
"""A place counts as still where its difference as it stands is below this share of that after motion."""
_OWN_TASK_PX = 40_000
"""From this size of luma on the motion of each neighbour is a task of its own; below, together they take less time."""


def motion_px(frames: Tensor) -> Tensor:
    """Motion from the centre frame to each frame of a window, in px of the frames, x before y.

    Frames (F, 3, H, W), R'G'B' 0..1 -> (F, 2, h, w): frame k shows at ``position + motion[k]`` what the centre shows at
    ``position``. At most 640x360 large; the centre's own is 0, and so is that of frames equal to it.
    """
    return estimated(frames, others(frames), HOST, on_this_thread)


def others(frames: Tensor) -> list[int]:
    """Frames that differ from the centre: at a clip's ends and in stills there are none."""
    centre = frames[len(frames) // 2]
    return [k for k, frame in enumerate(frames) if not torch.equal(frame, centre)]


def estimated(frames: Tensor, moved: list[int], arithmetic: Arithmetic, everywhere: Everywhere) -> Tensor:
    """:func:`motion_px` of the frames ``moved``; that of the rest is 0."""
    size = _small_size(*frames.shape[-2:])
    luma = torch.cat(each(lambda frame: arithmetic.luma(frame[None], size), frames, everywhere))
    centre = len(frames) // 2
    motion = luma.new_zeros(len(frames), 2, *luma.shape[-2:])
    if moved and min(luma.shape[-2:]) >= _COARSEST_PX:
        pyramid = _pyramid(luma, arithmetic)
        heres = [level[centre : centre + 1] for level in pyramid]
        scale = constants([frames.shape[-1] / luma.shape[-1], frames.shape[-2] / luma.shape[-2]], motion)

        def find(group: list[int]) -> None:
            theres = [torch.stack([level[k] for k in group]) for level in pyramid]
            found = _local(heres, theres, _camera(heres, theres, arithmetic), arithmetic) * scale.view(1, 2, 1, 1)
            for k, field in zip(group, found, strict=True):
                motion[k] = field

        apart = arithmetic is HOST and luma[0].numel() >= _OWN_TASK_PX
        each(find, [[k] for k in moved] if apart else [moved], everywhere)
    return motion


def _small_size(height: int, width: int) -> tuple[int, int]:
    """What frames are averaged down to, by about a whole number."""
    factor = max(1, math.ceil(math.sqrt(height * width / _MOST_PIXELS)))
    return max(1, height // factor), max(1, width // factor)


def _pyramid(luma: Tensor, arithmetic: Arithmetic) -> list[Tensor]:
    """Luma (F, 1, h, w) at halving sizes, finest first, softened and without its local mean."""
    levels = [luma]
    while min(levels[-1].shape[-2:]) // 2 >= _COARSEST_PX:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return [_textures(level, arithmetic) for level in levels]


def _textures(luma: Tensor, arithmetic: Arithmetic) -> Tensor:
    radius = min(_HIGH_PASS_RADIUS_PX, min(luma.shape[-2:]) // 4)
    soft = arithmetic.box(luma, 1)
    return soft - arithmetic.box(soft, radius)


def _camera(heres: list[Tensor], theres: list[Tensor], arithmetic: Arithmetic) -> Tensor:
    """Affine motion (K, 2, 3) in px of the finest level: what is constant, and its slope to the right and down."""
    camera = theres[0].new_zeros(len(theres[0]), 2, 3)
    for here, there in zip(reversed(heres), reversed(theres), strict=True):
        camera = 2 * camera  # the first time 0
        terms = 3 if min(here.shape[-2:]) >= _AFFINE_PX else 1
        for _ in range(1 if here is heres[0] else _CAMERA_STEPS):
            camera = arithmetic.camera_step(here, there, camera, terms)
    return camera


def _local(heres: list[Tensor], theres: list[Tensor], camera: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Motion (K, 2, h, w) of each place in px of the finest level."""
    motion = None
    for level in range(min(_LOCAL_LEVELS, len(heres)) - 1, -1, -1):
        here, there = heres[level], theres[level]
        held = affine(camera / 2**level, here)
        motion = held if motion is None else 2 * resized(motion, here)
        difference, slope_x, slope_y = arithmetic.mismatch(here, there, motion)
        noise = LUMA_DEVIATION * arithmetic.medians(difference.abs().flatten(1)).view(-1, 1, 1)
        hold = _LOCAL_HOLD * noise.square() / (2 * _LOCAL_RADIUS_PX + 1) + _LEAST_HOLD
        products = (slope_x.square(), slope_x * slope_y, slope_y.square(), slope_x * difference, slope_y * difference)
        averaged = arithmetic.box(arithmetic.box(torch.cat(products, dim=1), _LOCAL_RADIUS_PX), _LOCAL_RADIUS_PX)
        xx, xy, yy, xt, yt = averaged.unbind(dim=1)
        away_x, away_y = (motion - held).unbind(dim=1)
        xx, yy, xt, yt = xx + hold, yy + hold, xt + hold * away_x, yt + hold * away_y
        determinant = xx * yy - xy * xy
        step = torch.stack([xy * yt - yy * xt, xy * xt - xx * yt], dim=1) / determinant.unsqueeze(1)
        length = step.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
        motion = arithmetic.box(motion + step * (length.clamp(max=_MOST_LOCAL_STEP_PX) / length), 1)
    assert motion is not None
    moved = arithmetic.box((sampled(theres[0], motion) - heres[0]).abs(), _MATCH_RADIUS_PX)
    still = arithmetic.box((theres[0] - heres[0]).abs(), _MATCH_RADIUS_PX)
    return motion * (still > _STILL_MARGIN * moved)

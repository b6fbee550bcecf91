"""How each frame of a window moved against its centre: the camera first, then each place."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.primaries import BT709_LUMA
from vsdslnet.network.motion.arithmetic import HOST, Arithmetic
from vsdslnet.network.motion.fields import affine, box, constants, positions, resized, sampled
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
_MOST_CAMERA_STEP_PX = 2.0
_OUTLIER = 2.0
"""Differences of this many robust deviations weigh half in the camera's motion."""
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
_ROUND = 2.0**-20
_OWN_TASK_PX = 40_000
"""From this size of luma on the motion of each neighbour is a task of its own; below, together they take less time."""
_LUMA_DEVIATION = 1.4826
"""Standard deviation of normal noise over its median absolute value."""


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
    luma = torch.cat(each(lambda frame: _small_luma(frame[None]), frames, everywhere))
    centre = len(frames) // 2
    motion = luma.new_zeros(len(frames), 2, *luma.shape[-2:])
    if moved and min(luma.shape[-2:]) >= _COARSEST_PX:
        pyramid = _pyramid(luma)
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


def _small_luma(frames: Tensor) -> Tensor:
    """Luma (F, 1, h, w), averaged down by a whole number."""
    weights = constants(BT709_LUMA, frames).view(1, 3, 1, 1)
    height, width = frames.shape[-2:]
    factor = math.ceil(math.sqrt(height * width / _MOST_PIXELS))
    if factor <= 1:
        return (frames * weights).sum(dim=1, keepdim=True)
    small = F.adaptive_avg_pool2d(frames, (max(1, height // factor), max(1, width // factor)))
    return (small * weights).sum(dim=1, keepdim=True)


def _pyramid(luma: Tensor) -> list[Tensor]:
    """Luma (F, 1, h, w) at halving sizes, finest first, softened and without its local mean."""
    levels = [luma]
    while min(levels[-1].shape[-2:]) // 2 >= _COARSEST_PX:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return [_textures(level) for level in levels]


def _textures(luma: Tensor) -> Tensor:
    radius = min(_HIGH_PASS_RADIUS_PX, min(luma.shape[-2:]) // 4)
    soft = box(luma, 1)
    return soft - box(soft, radius)


def _camera(heres: list[Tensor], theres: list[Tensor], arithmetic: Arithmetic) -> Tensor:
    """Affine motion (K, 2, 3) in px of the finest level: what is constant, and its slope to the right and down."""
    camera = theres[0].new_zeros(len(theres[0]), 2, 3)
    for here, there in zip(reversed(heres), reversed(theres), strict=True):
        camera = 2 * camera  # the first time 0
        terms = 3 if min(here.shape[-2:]) >= _AFFINE_PX else 1
        basis = positions(here)[:terms]
        for _ in range(1 if here is heres[0] else _CAMERA_STEPS):
            difference, slope_x, slope_y = _mismatch(here, there, affine(camera, here))
            size = difference.abs()
            deviation = _LUMA_DEVIATION * arithmetic.median(size.flatten(1)).view(-1, 1, 1, 1).clamp(min=1e-3)
            weight = 1 / (1 + (size / (_OUTLIER * deviation)).square())
            slopes = torch.cat([slope_x * basis, slope_y * basis], dim=1).flatten(2)
            weighted = slopes * weight.flatten(2)
            normal = _rounded(arithmetic.products(weighted, slopes))
            moment = _rounded(arithmetic.products(weighted, difference.flatten(2)))
            ridge = 1e-3 * normal.diagonal(dim1=1, dim2=2).mean(dim=1).view(-1, 1, 1) + 1e-6
            normal = normal + ridge * torch.eye(2 * terms, dtype=normal.dtype, device=normal.device)
            step = -arithmetic.solved(normal, moment).to(camera.dtype).view(-1, 2, terms)
            step = (step / _ROUND).round() * _ROUND
            camera = camera + F.pad(step.clamp(-_MOST_CAMERA_STEP_PX, _MOST_CAMERA_STEP_PX), (0, 3 - terms))
    return camera


def _rounded(sums: Tensor) -> Tensor:
    """Sums over a frame as float64 without the digits that depend on the order of adding up."""
    return (sums.double() / _ROUND).round() * _ROUND


def _local(heres: list[Tensor], theres: list[Tensor], camera: Tensor, arithmetic: Arithmetic) -> Tensor:
    """Motion (K, 2, h, w) of each place in px of the finest level."""
    motion = None
    for level in range(min(_LOCAL_LEVELS, len(heres)) - 1, -1, -1):
        here, there = heres[level], theres[level]
        held = affine(camera / 2**level, here)
        motion = held if motion is None else 2 * resized(motion, here)
        difference, slope_x, slope_y = _mismatch(here, there, motion)
        noise = _LUMA_DEVIATION * arithmetic.median(difference.abs().flatten(1)).view(-1, 1, 1)
        hold = _LOCAL_HOLD * noise.square() / (2 * _LOCAL_RADIUS_PX + 1) + _LEAST_HOLD
        products = (slope_x.square(), slope_x * slope_y, slope_y.square(), slope_x * difference, slope_y * difference)
        averaged = box(box(torch.cat(products, dim=1), _LOCAL_RADIUS_PX), _LOCAL_RADIUS_PX)
        xx, xy, yy, xt, yt = averaged.unbind(dim=1)
        away_x, away_y = (motion - held).unbind(dim=1)
        xx, yy, xt, yt = xx + hold, yy + hold, xt + hold * away_x, yt + hold * away_y
        determinant = xx * yy - xy * xy
        step = torch.stack([xy * yt - yy * xt, xy * xt - xx * yt], dim=1) / determinant.unsqueeze(1)
        length = step.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
        motion = box(motion + step * (length.clamp(max=_MOST_LOCAL_STEP_PX) / length), 1)
    assert motion is not None
    moved = box((sampled(theres[0], motion) - heres[0]).abs(), _MATCH_RADIUS_PX)
    still = box((theres[0] - heres[0]).abs(), _MATCH_RADIUS_PX)
    return motion * (still > _STILL_MARGIN * moved)


def _mismatch(here: Tensor, there: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a neighbour, moved back, differs by from the centre, and the mean slopes of both: (K, 1, h, w) each."""
    back = sampled(there, motion)
    mean = F.pad((back + here) / 2, (1, 1, 1, 1), mode="replicate")
    slope_x = (mean[..., 1:-1, 2:] - mean[..., 1:-1, :-2]) / 2
    slope_y = (mean[..., 2:, 1:-1] - mean[..., :-2, 1:-1]) / 2
    return back - here, slope_x, slope_y

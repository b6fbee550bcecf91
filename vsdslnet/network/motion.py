"""Motion compensation: each neighbour of a window, brought onto the centre frame before the network sees it.

LDOE sees motion of a pixel or two and errs by half of it, and a deformable convolution that starts elsewhere learns
nothing from its gradient. So, as video restoration has it since BasicVSR++ (Chan et al. 2022, flow-guided deformable
alignment), a classical estimate goes first and DMFA aligns what is left of the motion:

1. the camera's motion, affine, by robust direct registration from coarse to fine (Odobez and Bouthemy 1995);
2. from there the motion of each place (Lucas and Kanade 1981), held to the camera's where there is no texture;
3. none where the picture matches better as it stands: logos, bars, subtitles;
4. and where a neighbour still shows something else than noise explains (what was hidden, what moved too fast), the
   centre itself: a ghost is worse than noise.

Motion is looked for in luma without its local mean, so that fades and flicker are none. Sums over whole frames are
rounded: processors that add them up in another order mostly agree on the motion. A neighbour that equals the centre
stays as it is to the last bit.

What a processor does best and what a device does without asking back differ in three places, medians, sums of
products and small linear systems: see :class:`_Arithmetic`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.primaries import BT709_LUMA
from vsdslnet.network.side_by_side import Everywhere, each, on_this_thread

__all__ = ["compensate_", "compensated", "compensated_on_device", "full_size", "motion_px"]

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
_OTHER_NOISE = 2.5
_LEAST_OTHER = 1.5 / 255
"""A neighbour's place is believed up to so many times the usual difference plus this, and not from twice that on."""
_MOST_NOISE = 6 / 255
_NOISE_STEP_PX = 3
_ROUND = 2.0**-20
_OWN_TASK_PX = 40_000
"""From this size of luma on the motion of each neighbour is a task of its own; below, together they take less time."""
_BAND_ROWS = 256
_LUMA_DEVIATION = 1.4826
"""Standard deviation of normal noise over its median absolute value."""


def motion_px(frames: Tensor) -> Tensor:
    """Motion from the centre frame to each frame of a window, in px of the frames, x before y.

    Frames (F, 3, H, W), R'G'B' 0..1 -> (F, 2, h, w): frame k shows at ``position + motion[k]`` what the centre shows at
    ``position``. At most 640x360 large; the centre's own is 0, and so is that of frames equal to it.
    """
    return _motion(frames, _others(frames), _HOST, on_this_thread)


def compensate_(frames: Tensor, everywhere: Everywhere = on_this_thread) -> Tensor:
    """Bring the neighbours of frames (F, 3, H, W), R'G'B' 0..1, onto the centre, in place; returns their motion.

    The motion is :func:`motion_px`'s. Frames equal to the centre are not touched. Neighbours are worked on at the same
    time if ``everywhere`` has threads.
    """
    others = _others(frames)
    motion = _motion(frames, others, _HOST, everywhere)
    centre = frames[len(frames) // 2]

    def move(k: int) -> None:
        if bool(motion[k].any()):
            frames[k] = _warped(frames[k : k + 1], motion[k : k + 1])[0]
        _hold_to_(frames[k], centre, _HOST)

    each(move, others, everywhere)
    return motion


def compensated_on_device(frames: Tensor) -> Tensor:
    """:func:`compensate_` as a copy, by operations whose number and sizes do not depend on the picture.

    Frames (F, 3, H, W), R'G'B' 0..1. Nothing is copied to or from the host, so a CUDA graph can hold it. Where
    frames equal the centre they are worked on like others, and the result is not used.
    """
    middle = len(frames) // 2
    neighbours = [k for k in range(len(frames)) if k != middle]
    out = frames.clone()
    if not neighbours:
        return out
    centre = frames[middle]
    motion = _motion(frames, neighbours, _DEVICE, on_this_thread)
    for k in neighbours:
        differs = (frames[k] != centre).any()
        field = torch.where(differs, motion[k : k + 1], 0.0)
        out[k] = torch.where((field != 0).any(), _warped(frames[k : k + 1], field)[0], frames[k])
        _hold_to_(out[k], centre, _DEVICE)
    return out


def compensated(windows: Tensor) -> Tensor:
    """Windows (N, F, 3, H, W) as the network is to see them: a copy, each neighbour on its centre."""
    out = windows.clone()
    for frames in out:
        compensate_(frames)
    return out


def full_size(motion: Tensor, size: tuple[int, int]) -> Tensor:
    """Motion (F, 2, h, w) of each pixel of frames (H, W) large: (F, 2, H, W), bilinear."""
    return _field_rows(motion, 0, size[0], *size)


def _others(frames: Tensor) -> list[int]:
    """Frames that differ from the centre: at a clip's ends and in stills there are none."""
    centre = frames[len(frames) // 2]
    return [k for k, frame in enumerate(frames) if not torch.equal(frame, centre)]


class _Arithmetic(NamedTuple):
    """The operations that are done one way on a processor and another on a device.

    ``median``   values (K, n), none negative -> their (lower) medians (K,).
    ``products`` a (K, m, n), b (K, p, n) -> sums of products over n, (K, m, p).
    ``solved``   systems (K, m, m), symmetric and positive definite, right sides (K, m, 1) -> solutions.
    """

    median: Callable[[Tensor], Tensor]
    products: Callable[[Tensor, Tensor], Tensor]
    solved: Callable[[Tensor, Tensor], Tensor]


def _median_by_counting(values: Tensor) -> Tensor:
    """Exact, in two passes over 16 bits each: numbers that are not negative are ordered as their bits are.

    A device's own median reads each row 16 times with one block of threads.
    """
    bits = values.contiguous().view(torch.int32)
    high, low = (bits >> 16).long(), (bits & 0xFFFF).long()
    rank = (values.shape[1] - 1) // 2
    upper, below = _bin_of_rank(high, torch.ones_like(bits), values.new_full((len(values), 1), rank, dtype=torch.long))
    lower, _ = _bin_of_rank(low, (high == upper).int(), rank - below)
    return ((upper << 16) | lower).int().view(torch.float32)[:, 0]


def _bin_of_rank(bins: Tensor, weights: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """Which bin (K, 1) holds the value of a rank (K, 1), and how many values lie below that bin."""
    counts = bins.new_zeros(len(bins), 1 << 16, dtype=torch.int32).scatter_add_(1, bins, weights)
    up_to = counts.cumsum(dim=1)
    place = (up_to <= rank).sum(dim=1, keepdim=True)
    return place, up_to.gather(1, place) - counts.gather(1, place)


def _solved_by_elimination(systems: Tensor, right: Tensor) -> Tensor:
    """Gauss and Jordan's way, which needs no pivots where systems are positive definite: no library, no host."""
    rows = torch.cat([systems, right], dim=2)
    count = systems.shape[1]
    for k in range(count):
        row = rows[:, k : k + 1] / rows[:, k : k + 1, k : k + 1]
        rest = rows - rows[:, :, k : k + 1] * row
        rows = torch.cat([rest[:, :k], row, rest[:, k + 1 :]], dim=1)
    return rows[:, :, count:]


_HOST = _Arithmetic(
    median=lambda values: values.median(dim=1).values,
    products=lambda a, b: a @ b.mT,
    solved=torch.linalg.solve,
)
_DEVICE = _Arithmetic(
    median=_median_by_counting,
    # 36 products of 230,400 numbers each: a matrix library sees a result of 6x6 and keeps one core busy.
    products=lambda a, b: (a.unsqueeze(2) * b.unsqueeze(1)).sum(dim=-1, dtype=torch.float64),
    solved=_solved_by_elimination,
)


def _constants(values: Sequence[float], like: Tensor) -> Tensor:
    """A few numbers as a tensor, filled where it lies: copying them there would wait for the device."""
    return torch.cat([like.new_full((1,), value) for value in values])


def _motion(frames: Tensor, moved: list[int], arithmetic: _Arithmetic, everywhere: Everywhere) -> Tensor:
    """:func:`motion_px` of the frames ``moved``; that of the rest is 0."""
    luma = torch.cat(each(lambda frame: _small_luma(frame[None]), frames, everywhere))
    centre = len(frames) // 2
    motion = luma.new_zeros(len(frames), 2, *luma.shape[-2:])
    if moved and min(luma.shape[-2:]) >= _COARSEST_PX:
        pyramid = _pyramid(luma)
        heres = [level[centre : centre + 1] for level in pyramid]
        scale = _constants([frames.shape[-1] / luma.shape[-1], frames.shape[-2] / luma.shape[-2]], motion)

        def find(group: list[int]) -> None:
            theres = [torch.stack([level[k] for k in group]) for level in pyramid]
            found = _local(heres, theres, _camera(heres, theres, arithmetic), arithmetic) * scale.view(1, 2, 1, 1)
            for k, field in zip(group, found, strict=True):
                motion[k] = field

        apart = arithmetic is _HOST and luma[0].numel() >= _OWN_TASK_PX
        each(find, [[k] for k in moved] if apart else [moved], everywhere)
    return motion


def _small_luma(frames: Tensor) -> Tensor:
    """Luma (F, 1, h, w), averaged down by a whole number."""
    weights = _constants(BT709_LUMA, frames).view(1, 3, 1, 1)
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
    soft = _box(luma, 1)
    return soft - _box(soft, radius)


def _camera(heres: list[Tensor], theres: list[Tensor], arithmetic: _Arithmetic) -> Tensor:
    """Affine motion (K, 2, 3) in px of the finest level: what is constant, and its slope to the right and down."""
    camera = theres[0].new_zeros(len(theres[0]), 2, 3)
    for here, there in zip(reversed(heres), reversed(theres), strict=True):
        camera = 2 * camera  # the first time 0
        terms = 3 if min(here.shape[-2:]) >= _AFFINE_PX else 1
        positions = _positions(here)[:terms]
        for _ in range(1 if here is heres[0] else _CAMERA_STEPS):
            difference, slope_x, slope_y = _mismatch(here, there, _affine(camera, here))
            size = difference.abs()
            deviation = _LUMA_DEVIATION * arithmetic.median(size.flatten(1)).view(-1, 1, 1, 1).clamp(min=1e-3)
            weight = 1 / (1 + (size / (_OUTLIER * deviation)).square())
            slopes = torch.cat([slope_x * positions, slope_y * positions], dim=1).flatten(2)
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


def _local(heres: list[Tensor], theres: list[Tensor], camera: Tensor, arithmetic: _Arithmetic) -> Tensor:
    """Motion (K, 2, h, w) of each place in px of the finest level."""
    motion = None
    for level in range(min(_LOCAL_LEVELS, len(heres)) - 1, -1, -1):
        here, there = heres[level], theres[level]
        held = _affine(camera / 2**level, here)
        motion = held if motion is None else 2 * _resized(motion, here)
        difference, slope_x, slope_y = _mismatch(here, there, motion)
        noise = _LUMA_DEVIATION * arithmetic.median(difference.abs().flatten(1)).view(-1, 1, 1)
        hold = _LOCAL_HOLD * noise.square() / (2 * _LOCAL_RADIUS_PX + 1) + _LEAST_HOLD
        products = (slope_x.square(), slope_x * slope_y, slope_y.square(), slope_x * difference, slope_y * difference)
        averaged = _box(_box(torch.cat(products, dim=1), _LOCAL_RADIUS_PX), _LOCAL_RADIUS_PX)
        xx, xy, yy, xt, yt = averaged.unbind(dim=1)
        away_x, away_y = (motion - held).unbind(dim=1)
        xx, yy, xt, yt = xx + hold, yy + hold, xt + hold * away_x, yt + hold * away_y
        determinant = xx * yy - xy * xy
        step = torch.stack([xy * yt - yy * xt, xy * xt - xx * yt], dim=1) / determinant.unsqueeze(1)
        length = step.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-6)
        motion = _box(motion + step * (length.clamp(max=_MOST_LOCAL_STEP_PX) / length), 1)
    assert motion is not None
    moved = _box((_sampled(theres[0], motion) - heres[0]).abs(), _MATCH_RADIUS_PX)
    still = _box((theres[0] - heres[0]).abs(), _MATCH_RADIUS_PX)
    return motion * (still > _STILL_MARGIN * moved)


def _mismatch(here: Tensor, there: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a neighbour, moved back, differs by from the centre, and the mean slopes of both: (K, 1, h, w) each."""
    back = _sampled(there, motion)
    mean = F.pad((back + here) / 2, (1, 1, 1, 1), mode="replicate")
    slope_x = (mean[..., 1:-1, 2:] - mean[..., 1:-1, :-2]) / 2
    slope_y = (mean[..., 2:, 1:-1] - mean[..., :-2, 1:-1]) / 2
    return back - here, slope_x, slope_y


def _positions(like: Tensor) -> Tensor:
    """1, x and y of every pixel, the latter from -1 to 1 over the frame: (3, h, w)."""
    height, width = like.shape[-2:]
    ys = (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5) / height * 2 - 1
    xs = (torch.arange(width, dtype=like.dtype, device=like.device) + 0.5) / width * 2 - 1
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([torch.ones_like(x), x, y])


def _affine(camera: Tensor, like: Tensor) -> Tensor:
    """The camera's motion (K, 2, 3) at every pixel: (K, 2, h, w). Written out, so that no sum has an order."""
    one, x, y = _positions(like)
    parts = camera[..., None, None]
    field: Tensor = parts[:, :, 0] * one + parts[:, :, 1] * x + parts[:, :, 2] * y
    return field


def _box(x: Tensor, radius: int) -> Tensor:
    """Mean over a square, its border repeated outwards."""
    side = 2 * radius + 1
    rows = _running_sum(F.pad(x, (radius, radius, radius, radius), mode="replicate"), side, -1)
    return _running_sum(rows, side, -2) / side**2


def _running_sum(x: Tensor, count: int, dim: int) -> Tensor:
    """Sums of ``count`` neighbours along ``dim``, from sums of 1, 2, 4...: avg_pool2d takes five times as long."""
    kept = x.shape[dim] - count + 1
    power, width, start, total = x, 1, 0, None
    while True:
        if count & width:
            part = power.narrow(dim, start, kept)
            total = part if total is None else total + part
            start += width
        if 2 * width > count:
            assert total is not None
            return total
        rest = power.shape[dim] - width
        power = power.narrow(dim, 0, rest) + power.narrow(dim, width, rest)
        width *= 2


def _resized(field: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(field, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _sampled(picture: Tensor, motion: Tensor, first: int = 0) -> Tensor:
    """A picture (K, C, h, w) at positions plus their motion in px; outside, its border.

    ``motion`` (K, 2, rows, w) is that of the rows from ``first`` on.
    """
    height, width = picture.shape[-2:]
    ys = torch.arange(first, first + motion.shape[-2], dtype=motion.dtype, device=motion.device).view(-1, 1)
    xs = torch.arange(width, dtype=motion.dtype, device=motion.device)
    grid = torch.stack([(2 * (motion[:, 0] + xs) + 1) / width - 1, (2 * (motion[:, 1] + ys) + 1) / height - 1], dim=-1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _warped(frame: Tensor, field: Tensor) -> Tensor:
    """A frame (1, 3, H, W) moved back by a motion (1, 2, h, w) in px of it, in bands that bound the memory."""
    height, width = frame.shape[-2:]
    out = torch.empty_like(frame)
    for first, last in _bands(height):
        out[..., first:last, :] = _sampled(frame, _field_rows(field, first, last - first, height, width), first)
    return out


def _bands(height: int) -> list[tuple[int, int]]:
    """Rows from, and to, in which frames are gone through."""
    return [(first, min(first + _BAND_ROWS, height)) for first in range(0, height, _BAND_ROWS)]


def _hold_to_(frame: Tensor, centre: Tensor, arithmetic: _Arithmetic) -> None:
    """Put the centre (3, H, W) in place of a frame where that still shows something else, softly and in place."""
    bands = _bands(frame.shape[-2])
    other = torch.cat([_otherness(frame, centre, *band) for band in bands])
    noise = arithmetic.median(other[::_NOISE_STEP_PX, ::_NOISE_STEP_PX].reshape(1, -1)).clamp(max=_MOST_NOISE)
    least = _OTHER_NOISE * noise + _LEAST_OTHER
    for first, last in bands:
        here = frame[:, first:last]
        here += (other[first:last] / least - 1).clamp(0, 1) * (centre[:, first:last] - here)


def _otherness(frame: Tensor, centre: Tensor, first: int, last: int) -> Tensor:
    """Rows of how far a frame (3, H, W) differs from the centre, noise averaged away: (rows, W)."""
    reach = 2  # of two boxes
    above = max(0, first - reach)
    difference = (frame[:, above : last + reach] - centre[:, above : last + reach])[None]
    # An object does not average away; the channel that shows it best tells.
    other = _box(_box(difference, 1).abs().amax(dim=1, keepdim=True), 1)[0, 0]
    return other[first - above : last - above]


def _field_rows(field: Tensor, first: int, rows: int, height: int, width: int) -> Tensor:
    """Rows of a motion (K, 2, h, w) as it is at the size of the frame: (K, 2, rows, width), bilinear."""
    if field.shape[-2:] == (height, width):
        return field[..., first : first + rows, :]
    ys = (2 * torch.arange(first, first + rows, dtype=field.dtype, device=field.device) + 1) / height - 1
    xs = (2 * torch.arange(width, dtype=field.dtype, device=field.device) + 1) / width - 1
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    grid = torch.stack([x, y], dim=-1).expand(len(field), -1, -1, -1)
    return F.grid_sample(field, grid, mode="bilinear", padding_mode="border", align_corners=False)

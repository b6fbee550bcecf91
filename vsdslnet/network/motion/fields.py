"""Fields of motion and pictures: sampled, resized, averaged, the same on every processor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["affine", "box", "constants", "field_rows", "full_size", "positions", "resized", "sampled"]


def constants(values: Sequence[float], like: Tensor) -> Tensor:
    """A few numbers as a tensor, filled where it lies: copying them there would wait for the device."""
    return torch.cat([like.new_full((1,), value) for value in values])


def positions(like: Tensor) -> Tensor:
    """1, x and y of every pixel, the latter from -1 to 1 over the frame: (3, h, w)."""
    height, width = like.shape[-2:]
    ys = (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5) / height * 2 - 1
    xs = (torch.arange(width, dtype=like.dtype, device=like.device) + 0.5) / width * 2 - 1
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    return torch.stack([torch.ones_like(x), x, y])


def affine(camera: Tensor, like: Tensor) -> Tensor:
    """The camera's motion (K, 2, 3) at every pixel: (K, 2, h, w). Written out, so that no sum has an order."""
    one, x, y = positions(like)
    parts = camera[..., None, None]
    field: Tensor = parts[:, :, 0] * one + parts[:, :, 1] * x + parts[:, :, 2] * y
    return field


def box(x: Tensor, radius: int) -> Tensor:
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


def resized(field: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(field, size=like.shape[-2:], mode="bilinear", align_corners=False)


def sampled(picture: Tensor, motion: Tensor, first: int = 0) -> Tensor:
    """A picture (K, C, h, w) at positions plus their motion in px; outside, its border.

    ``motion`` (K, 2, rows, w) is that of the rows from ``first`` on.
    """
    height, width = picture.shape[-2:]
    x, y = _centres(0, width, width, motion), _centres(first, motion.shape[-2], height, motion).view(-1, 1)
    grid = torch.stack(
        [torch.add(x, motion[:, 0], alpha=2 / width), torch.add(y, motion[:, 1], alpha=2 / height)], dim=-1
    )
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _centres(first: int, count: int, side: int, like: Tensor) -> Tensor:
    """Where ``grid_sample`` has some of ``side`` pixels: from -1 to 1 over all of them."""
    return (2 * torch.arange(first, first + count, dtype=like.dtype, device=like.device) + 1) / side - 1


def field_rows(field: Tensor, first: int, rows: int, height: int, width: int) -> Tensor:
    """Rows of a motion (K, 2, h, w) as it is at the size of the frame: (K, 2, rows, width), bilinear."""
    if field.shape[-2:] == (height, width):
        return field[..., first : first + rows, :]
    ys, xs = _centres(first, rows, height, field), _centres(0, width, width, field)
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    grid = torch.stack([x, y], dim=-1).expand(len(field), -1, -1, -1)
    return F.grid_sample(field, grid, mode="bilinear", padding_mode="border", align_corners=False)


def full_size(motion: Tensor, size: tuple[int, int]) -> Tensor:
    """Motion (F, 2, h, w) of each pixel of frames (H, W) large: (F, 2, H, W), bilinear."""
    return field_rows(motion, 0, size[0], *size)

"""The operations of motion compensation that a processor does best in one way and a device in another.

What is written here runs on either. A processor takes its own medians, products and solutions; a device has to do
without asking back, and :mod:`vsdslnet.inference.cuda.motion` exchanges most of it for a few kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.primaries import BT709_LUMA
from vsdslnet.network.motion import fields
from vsdslnet.network.motion.fields import affine, constants, field_rows, positions, sampled

__all__ = ["DEVICE", "HOST", "LUMA_DEVIATION", "Arithmetic"]

LUMA_DEVIATION = 1.4826
"""Standard deviation of normal noise over its median absolute value."""
OUTLIER = 2.0
"""Differences of this many robust deviations weigh half in the camera's motion."""
LEAST_DEVIATION = 1e-3
MOST_CAMERA_STEP_PX = 2.0
ROUND = 2.0**-20
"""Sums over whole frames are rounded to this: processors add them up in other orders."""
RIDGE_SHARE, LEAST_RIDGE = 1e-3, 1e-6

OTHER_NOISE = 2.5
LEAST_OTHER = 1.5 / 255
"""A neighbour's place is believed up to so many times the usual difference plus this, and not from twice that on."""
MOST_NOISE = 6 / 255
NOISE_STEP_PX = 3
_BAND_ROWS = 256


@dataclass(frozen=True)
class Arithmetic:
    """How to do what is done one way on a processor and another on a device.

    ``medians``  values (K, n), none negative -> their (lower) medians (K,).
    ``products`` a (K, m, n), b (K, p, n) -> sums of products over n, (K, m, p).
    ``solved``   systems (K, m, m), symmetric and positive definite, right sides (K, m, 1) -> solutions.
    """

    medians: Callable[[Tensor], Tensor]
    products: Callable[[Tensor, Tensor], Tensor]
    solved: Callable[[Tensor, Tensor], Tensor]

    def box(self, x: Tensor, radius: int) -> Tensor:
        """Mean over a square, its border repeated outwards."""
        return fields.box(x, radius)

    def luma(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Luma (F, 1, h, w) of frames (F, 3, H, W), averaged down to a size that is no larger."""
        weights = constants(BT709_LUMA, frames).view(1, 3)
        (height, width), (tall, wide) = frames.shape[-2:], size
        if height % tall or width % wide:
            frames, height, width = F.adaptive_avg_pool2d(frames, size), tall, wide
        # Whole squares of pixels are averaged by slices, in half of pooling's time.
        down, across = height // tall, width // wide
        rows = frames.view(-1, 3, tall, down, width).sum(dim=3) if down > 1 else frames
        columns = (weights @ rows.flatten(2)).view(-1, 1, tall, wide, across).unbind(-1)
        return sum(columns[1:], columns[0]) / (down * across)

    def mismatch(self, here: Tensor, there: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What a neighbour, moved back, differs by from the centre, and the mean slopes of both: (K, 1, h, w) each."""
        back = sampled(there, motion)
        mean = F.pad((back + here) / 2, (1, 1, 1, 1), mode="replicate")
        slope_x = (mean[..., 1:-1, 2:] - mean[..., 1:-1, :-2]) / 2
        slope_y = (mean[..., 2:, 1:-1] - mean[..., :-2, 1:-1]) / 2
        return back - here, slope_x, slope_y

    def camera_step(self, here: Tensor, there: Tensor, camera: Tensor, terms: int) -> Tensor:
        """A better motion of the camera (K, 2, 3), between levels (1, 1, h, w) and (K, 1, h, w): robust Gauss-Newton.

        ``terms`` 1: it only pans; 3: it zooms and turns as well.
        """
        basis = positions(here)[:terms]
        difference, slope_x, slope_y = self.mismatch(here, there, affine(camera, here))
        size = difference.abs()
        deviation = LUMA_DEVIATION * self.medians(size.flatten(1)).view(-1, 1, 1, 1).clamp(min=LEAST_DEVIATION)
        weight = 1 / (1 + (size / (OUTLIER * deviation)).square())
        slopes = torch.cat([slope_x * basis, slope_y * basis], dim=1).flatten(2)
        weighted = slopes * weight.flatten(2)
        normal = _rounded(self.products(weighted, slopes))
        moment = _rounded(self.products(weighted, difference.flatten(2)))
        ridge = RIDGE_SHARE * normal.diagonal(dim1=1, dim2=2).mean(dim=1).view(-1, 1, 1) + LEAST_RIDGE
        normal = normal + ridge * torch.eye(2 * terms, dtype=normal.dtype, device=normal.device)
        step = -self.solved(normal, moment).to(camera.dtype).view(-1, 2, terms)
        step = (step / ROUND).round() * ROUND
        return camera + F.pad(step.clamp(-MOST_CAMERA_STEP_PX, MOST_CAMERA_STEP_PX), (0, 3 - terms))

    def warped(self, frame: Tensor, field: Tensor) -> Tensor:
        """A frame (1, 3, H, W) moved back by a motion (1, 2, h, w) in px of it, in bands that bound the memory."""
        height, width = frame.shape[-2:]
        out = torch.empty_like(frame)
        for first, last in _bands(height):
            out[..., first:last, :] = sampled(frame, field_rows(field, first, last - first, height, width), first)
        return out

    def hold_(self, frame: Tensor, centre: Tensor) -> None:
        """Put the centre (3, H, W) in place of a frame where that still shows something else, softly and in place."""
        bands = _bands(frame.shape[-2])
        other = torch.cat([_otherness(frame, centre, *band) for band in bands])
        noise = self.medians(other[::NOISE_STEP_PX, ::NOISE_STEP_PX].reshape(1, -1)).clamp(max=MOST_NOISE)
        least = OTHER_NOISE * noise + LEAST_OTHER
        for first, last in bands:
            frame[:, first:last].lerp_(centre[:, first:last], (other[first:last] / least - 1).clamp(0, 1))


def _rounded(sums: Tensor) -> Tensor:
    """Sums over a frame as float64 without the digits that depend on the order of adding up."""
    return (sums.double() / ROUND).round() * ROUND


def _bands(height: int) -> list[tuple[int, int]]:
    """Rows from, and to, in which frames are gone through."""
    return [(first, min(first + _BAND_ROWS, height)) for first in range(0, height, _BAND_ROWS)]


def _otherness(frame: Tensor, centre: Tensor, first: int, last: int) -> Tensor:
    """Rows of how far a frame (3, H, W) differs from the centre, noise averaged away: (rows, W)."""
    reach = 2  # of two boxes
    above = max(0, first - reach)
    difference = (frame[:, above : last + reach] - centre[:, above : last + reach])[None]
    # An object does not average away; the channel that shows it best tells.
    other = fields.box(fields.box(difference, 1).abs().amax(dim=1, keepdim=True), 1)[0, 0]
    return other[first - above : last - above]


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


HOST = Arithmetic(
    medians=lambda values: values.median(dim=1).values,
    products=lambda a, b: a @ b.mT,
    solved=torch.linalg.solve,
)
DEVICE = Arithmetic(
    medians=_median_by_counting,
    # 36 products of 230,400 numbers each: a matrix library sees a result of 6x6 and keeps one core busy.
    products=lambda a, b: (a.unsqueeze(2) * b.unsqueeze(1)).sum(dim=-1, dtype=torch.float64),
    solved=_solved_by_elimination,
)

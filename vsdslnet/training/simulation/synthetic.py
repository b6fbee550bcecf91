"""Synthetic frames: flat shapes of saturated light and scenes in coloured light, which real scenes hold too few of.

Signs, screens and stage lights have edges between colours that hardly occur in photographs of landscapes; a network
that never saw them draws rims there. And a frame that is all red (a title, a darkroom, a curtain) is farther from
every photograph than any two of these from each other: what conditions say of it has to be learnt, or is anything.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.training.simulation.degrade import add_noise, from_yuv420, to_yuv420

__all__ = ["colored_light", "saturated_shapes"]

Floats = NDArray[np.float32]

_MOST_SHAPES = 4
_SUBSAMPLED_SHARE = 0.6
_NOISY_SHARE = 0.3
_STILL_SHARE = 0.4
_MOST_NOISE_CODE = 8.0
_MOST_PX_A_FRAME = 3.0


def saturated_shapes(frames: int, size: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A window (F, 3, size, size) of R'G'B' 0..1 and its centre frame (3, size, size) before chroma loss and noise.

    Rectangles and ellipses of flat colour, one over the other, sharp or soft, still or moving evenly, each way; on
    black or on a flat ground; 4:2:0 and 8 bits for a part, noise of up to 8 codes for another.
    """
    ground = random.uniform(0, 0.15, 3) if random.random() < 0.7 else random.uniform(0, 1, 3)
    shapes = [_draw(size, random) for _ in range(int(random.integers(1, _MOST_SHAPES + 1)))]
    pictures = [_paint(ground, shapes, frame - frames // 2, size) for frame in range(frames)]
    clean = pictures[frames // 2]
    noise = random.uniform(0, _MOST_NOISE_CODE) if random.random() < _NOISY_SHARE else 0.0
    subsampled = random.random() < _SUBSAMPLED_SHARE
    seen = []
    for picture in pictures:
        degraded = add_noise(random, picture, noise_code=noise, shot=0.3, grain_px=0.0).clip(0, 1)
        seen.append(from_yuv420(to_yuv420(degraded)) if subsampled else (degraded * 255).round())
    window = torch.from_numpy(np.stack(seen).astype(np.float32) / 255).permute(0, 3, 1, 2)
    return window, torch.from_numpy(clean).permute(2, 0, 1)


def colored_light(frames: Tensor, sdr: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Whole frames (N, 3, h, w) and points of theirs (N, P, 3), R'G'B' 0..1, as if in strongly coloured light.

    A gel before the lens, a saturation that no camera has, one colour in all shades, or, for a part, one flat colour.
    """
    lit, points = frames.clone(), sdr.clone()
    for whole, some in zip(lit, points, strict=True):
        color = torch.from_numpy(_strong_color(random))
        matrix = torch.diag(color)
        if (kind := random.random()) < 0.25:
            grey = torch.full((3, 3), 1 / 3)
            matrix = grey + float(random.uniform(1.5, 4)) * (torch.eye(3) - grey)
        elif kind < 0.5:
            matrix = color[:, None].expand(3, 3) / 3
        flat = float(random.choice([0.0, 1.0, random.random()], p=[0.5, 0.35, 0.15]))
        level = float(random.uniform(0.05, 1)) if random.random() < 0.7 else 1.0
        for pixels in (whole.movedim(0, -1), some):
            shaded = (pixels @ matrix.T).clamp(0, 1)
            pixels.copy_(shaded + flat * (level * color - shaded))
    return lit, points


def _strong_color(random: np.random.Generator) -> Floats:
    """One or two strong channels, the rest weak."""
    color = random.uniform(0, 0.35, 3) * (random.random() < 0.7)
    strong = random.permutation(3)[: int(random.integers(1, 3))]
    color[strong] = random.uniform(0.5, 1, len(strong)) if random.random() < 0.5 else 1.0
    return color.astype(np.float32)


class _Shape(NamedTuple):
    centre_px: Floats
    half_px: Floats
    color: Floats
    px_a_frame: Floats
    soft_px: float
    ellipse: bool


def _draw(size: int, random: np.random.Generator) -> _Shape:
    color = random.uniform(0, 0.25, 3)
    strong = random.permutation(3)[: int(random.integers(1, 3))]
    color[strong] = random.uniform(0.4, 1, len(strong))
    still = random.random() < _STILL_SHARE
    motion = random.uniform(-_MOST_PX_A_FRAME, _MOST_PX_A_FRAME, 2) * (not still)
    return _Shape(
        centre_px=random.uniform(0, size, 2).astype(np.float32),
        half_px=random.uniform(0.08 * size, 0.45 * size, 2).astype(np.float32),
        color=color.astype(np.float32),
        px_a_frame=motion.astype(np.float32),
        soft_px=float(random.uniform(0.5, 2.5)) if random.random() < 0.5 else 0.5,
        ellipse=bool(random.random() < 0.4),
    )


def _paint(ground: NDArray[np.float64], shapes: list[_Shape], frame: int, size: int) -> Floats:
    """The shapes as they stand ``frame`` frames from the centre, edges as a box filter of their softness has them."""
    picture = np.broadcast_to(ground.astype(np.float32), (size, size, 3))
    rows, columns = np.mgrid[:size, :size].astype(np.float32) + 0.5
    for shape in shapes:
        x, y = (shape.centre_px + frame * shape.px_a_frame).tolist()
        across, down = np.abs(columns - x) / shape.half_px[0], np.abs(rows - y) / shape.half_px[1]
        inside = np.hypot(across, down) if shape.ellipse else np.maximum(across, down)
        # From shares of the half side to px beyond the edge.
        beyond_px = (inside - 1) * shape.half_px.min()
        cover = np.clip(0.5 - beyond_px / (2 * shape.soft_px), 0, 1)[..., None]
        picture = picture + cover * (shape.color - picture)
    return np.ascontiguousarray(picture, dtype=np.float32)

"""Scattered points of a dataset's windows, all in memory: what the tone stage learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.errors import ArgumentError
from vsdslnet.training.dataset.store import WindowDataset, planes

__all__ = ["PointBatch", "Points"]

_WIDE_SHARE = 0.2
_SMALLEST_SHARE = 0.375


class PointBatch(NamedTuple):
    """Points of N windows, P a window.

    ``sdr``        (N, P, 3) R'G'B' 0..1 of the centre frame.
    ``target``     (N, P, 3) PQ BT.2020.
    ``frames``     (N, 3, h, w) the whole centre frames, averaged down, for ConditionNet.
    ``positions``  (N, P, 2) x, y of the points in the whole frames, 0..1.
    """

    sdr: Tensor
    target: Tensor
    frames: Tensor
    positions: Tensor


class Points:
    """The centre frames of one or several datasets.

    ``look_shares`` says how often windows of each look are drawn; the looks it leaves out are not. Without it all
    windows are drawn alike. ArgumentError names a look of which the datasets hold nothing, and shares that are none.
    """

    def __init__(self, datasets: Iterable[WindowDataset], look_shares: Mapping[str, float] | None = None) -> None:
        sdr, hdr, whole, crop = [], [], [], []
        looks: list[str] = []
        for dataset in datasets:
            middle, rows = dataset.array("sdr").shape[1] // 2, dataset.rows
            sdr.append(dataset.array("sdr")[rows, middle])
            hdr.append(dataset.array("hdr")[rows])
            whole.append(dataset.array("cond")[rows, middle])
            crop.append(dataset.array("crop")[rows])
            looks += [meta.get("look", "") for meta in dataset.meta]
        self.sdr, self.hdr, self.whole, self.crop = map(np.concatenate, (sdr, hdr, whole, crop))
        self.chances = _chances(looks, look_shares) if look_shares else None

    def __len__(self) -> int:
        return len(self.sdr)

    def draw(self, random: np.random.Generator, windows: int, points: int) -> PointBatch:
        """Random windows, random points; frames cut and mirrored at random (see :func:`_cut`)."""
        if self.chances is None:
            chosen = random.integers(len(self), size=windows)
        else:
            chosen = random.choice(len(self), size=windows, p=self.chances)
        batch = self.take(chosen, random, points)
        frames, positions = _cut(batch.frames, batch.positions, self.crop[chosen], random)
        for axis in (0, 1):
            if random.random() < (0.5, 0.25)[axis]:
                frames = frames.flip(-1 - axis)
                positions = torch.where(torch.arange(2) == axis, 1 - positions, positions)
        # ColorBlocks over 3 channels are twice as fast in this order, forward and back.
        return batch._replace(frames=frames.contiguous(memory_format=torch.channels_last), positions=positions)

    def take(self, chosen: NDArray[np.int64], random: np.random.Generator, points: int) -> PointBatch:
        """Random points of the chosen windows, as they are."""
        height, width = self.sdr.shape[1:3]
        ys = random.integers(height, size=(len(chosen), points))
        xs = random.integers(width, size=(len(chosen), points))
        where = (chosen[:, None], ys, xs)
        x0, y0, x1, y1 = np.moveaxis(self.crop[chosen], -1, 0)[..., None]
        positions = np.stack([x0 + (xs + 0.5) / width * (x1 - x0), y0 + (ys + 0.5) / height * (y1 - y0)], axis=-1)
        return PointBatch(
            torch.from_numpy(self.sdr[where]).float() / 255,
            torch.from_numpy(self.hdr[where].astype(np.float32)) / 65535,
            planes(torch.from_numpy(self.whole[chosen])),
            torch.from_numpy(positions.astype(np.float32)),
        )


def _chances(looks: list[str], shares: Mapping[str, float]) -> NDArray[np.float64]:
    counts = Counter(looks)
    missing = sorted(name for name in shares if not counts[name])
    if missing:
        raise ArgumentError("look_shares", missing, f"looks of the datasets: {', '.join(sorted(counts))}")
    if not all(0 <= share < float("inf") for share in shares.values()) or not any(shares.values()):
        raise ArgumentError("look_shares", dict(shares), "shares from 0 on, one of them above it")
    chances = np.array([shares.get(look, 0.0) / counts[look] for look in looks])
    normalised: NDArray[np.float64] = chances / chances.sum()
    return normalised


def _cut(
    frames: Tensor, positions: Tensor, crops: NDArray[np.float32], random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut each whole frame somewhere between its window and itself: the same light, another view of the scene.

    Without it ConditionNet learns the few scenes by heart.
    """
    height, width = frames.shape[-2:]
    size = np.array([width, height])
    out, places = [], []
    for frame, place, crop in zip(frames, positions, crops, strict=True):
        shrink = 0.0 if random.random() < _WIDE_SHARE else 1 - random.random() ** 0.5
        low = (random.random(2) * shrink * crop[:2] * size).astype(int)
        high = np.ceil((1 - random.random(2) * shrink * (1 - crop[2:])) * size).astype(int)
        if ((high - low) < _SMALLEST_SHARE * size).any():
            low, high = np.zeros(2, int), size
        view = frame[None, :, low[1] : high[1], low[0] : high[0]]
        out.append(F.interpolate(view, size=(height, width), mode="bilinear", align_corners=False))
        span = torch.from_numpy(np.stack([low, high]).astype(np.float32) / size.astype(np.float32))
        places.append((place - span[0]) / (span[1] - span[0]))
    return torch.cat(out), torch.stack(places)

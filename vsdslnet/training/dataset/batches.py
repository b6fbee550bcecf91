"""Batches: random crops of a dataset's windows, the same for a (seed, step) whatever was run before."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from vsdslnet.network.motion.compensation import compensate_
from vsdslnet.network.motion.fields import full_size
from vsdslnet.training.config.run import TrainConfig
from vsdslnet.training.dataset.store import planes

__all__ = ["Batch", "Windows", "draw_batch"]


class Windows(Protocol):
    """A dataset's windows, or a teacher's lessons of them."""

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width that the frames of every window have at least."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, Tensor]: ...


class Batch(NamedTuple):
    """Crops and what belongs to them; B windows of F frames, P x P pixels.

    ``window``     (B, F, 3, P, P) SDR R'G'B' 0..1.
    ``whole``      (B, F, 3, h, w) the whole frames, averaged down, for ConditionNet.
    ``boxes``      B times x0, y0, x1, y1: where the crop lies in the whole frame, 0..1.
    ``target``     (B, 3, P, P) PQ BT.2020: the master's, of lessons the teacher's.
    ``clean``      (B, 3, P, P) the centre frame's R'G'B' 0..1 before anything degraded it.
    ``flow``       (B, F, 2, P, P) motion in px, x before y, from the centre frame; NaN where unknown. Of compensated
                   windows it is what is left of it.
    """

    window: Tensor
    whole: Tensor
    boxes: list[tuple[float, float, float, float]]
    target: Tensor
    clean: Tensor
    flow: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        window, whole, target, clean, flow = (
            part.to(device) for part in (self.window, self.whole, self.target, self.clean, self.flow)
        )
        return Batch(window, whole, self.boxes, target, clean, flow)


def draw_batch(
    dataset: Windows, config: TrainConfig, step: int, rank: int = 0, processes: int = 1, stream: int = 0
) -> Batch:
    """The batch of one step: a pure function of the seed, the stream and the step.

    With several processes each gets its share of the same global batch.
    """
    random = np.random.default_rng((config.seed, stream, step))
    chosen = random.integers(len(dataset), size=config.batch)
    draws = random.random((config.batch, 8))
    mine = slice(rank * config.batch // processes, (rank + 1) * config.batch // processes)
    samples = [_crop(dataset, int(index), config, draw) for index, draw in zip(chosen[mine], draws[mine], strict=True)]
    window, whole, boxes, target, clean, flow = zip(*samples, strict=True)
    return Batch(
        torch.stack(window),
        torch.stack(whole),
        list(boxes),
        torch.stack(target),
        torch.stack(clean),
        torch.stack(flow),
    )


Draw = np.ndarray[tuple[int], np.dtype[np.float64]]
Sample = tuple[Tensor, Tensor, tuple[float, float, float, float], Tensor, Tensor, Tensor]


def _crop(dataset: Windows, index: int, config: TrainConfig, draw: Draw) -> Sample:
    item = dataset[index]
    size = config.patch_px
    height, width = item["hdr"].shape[:2]
    # At even origins and at those of whole blocks, as inference's tiles are.
    step = max(2, config.network.scale)
    top = int(draw[0] * ((height - size) // step + 1)) * step
    left = int(draw[1] * ((width - size) // step + 1)) * step
    rows, columns = slice(top, top + size), slice(left, left + size)
    taught = "picture" in item
    target, clean = (planes(item[name][rows, columns]) for name in ("picture" if taught else "hdr", "clean"))
    x0, y0, x1, y1 = item["crop"].tolist()
    x_px, y_px = (x1 - x0) / width, (y1 - y0) / height
    box = (x0 + left * x_px, y0 + top * y_px, x0 + (left + size) * x_px, y0 + (top + size) * y_px)
    window, whole, flow = (_taught if taught else _varied)(item, config, draw)
    window, flow = window[..., rows, columns], flow[..., rows, columns]
    if draw[3] < 0.5:
        window, whole, target, clean, flow = (t.flip(-1) for t in (window, whole, target, clean, flow))
        flow = flow * flow.new_tensor([-1.0, 1.0]).view(1, 2, 1, 1)
        box = (1 - box[2], box[1], 1 - box[0], box[3])
    if draw[4] < 0.25:
        window, whole, target, clean, flow = (t.flip(-2) for t in (window, whole, target, clean, flow))
        flow = flow * flow.new_tensor([1.0, -1.0]).view(1, 2, 1, 1)
        box = (box[0], 1 - box[3], box[2], 1 - box[1])
    if draw[5] < 0.5:
        window, whole, flow = window.flip(0), whole.flip(0), flow.flip(0)
    return window, whole, box, target, clean, flow


def _taught(item: dict[str, Tensor], config: TrainConfig, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """Frames, whole frames and flow of a lesson: the very frames that the teacher painted, their motion unknown.

    Its picture stays right when some of its other frames are moved: it is of the centre one.
    """
    window = planes(item["aligned"])
    window, flow = _misaligned(window, torch.full_like(window[:, :2], torch.nan), config, draw)
    return window, planes(item["cond"]), flow


def _varied(item: dict[str, Tensor], config: TrainConfig, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """Frames, whole frames and flow of a window, with more noise or without motion as the draw has it."""
    window, whole = planes(item["sdr"]), planes(item["cond"])
    flow = item["flow"].permute(0, 3, 1, 2).float()
    if draw[6] < config.noise_share:
        window = _noisy(window, config, draw[7])
    if draw[2] < config.repeat_centre:
        radius = config.network.radius
        centre = slice(radius, radius + 1)
        return window[centre].expand_as(window), whole[centre].expand_as(whole), torch.zeros_like(flow)
    if config.network.motion_compensated:
        flow = flow - full_size(compensate_(window), (window.shape[-2], window.shape[-1]))
    window, flow = _misaligned(window, flow, config, draw)
    return window, whole, flow


def _misaligned(window: Tensor, flow: Tensor, config: TrainConfig, draw: Draw) -> tuple[Tensor, Tensor]:
    """Of ``misaligned_share`` of the windows about half of the other frames are moved by whole pixels.

    Their noise stays as it was; their flow is unknown.
    """
    # Of a stream of its own, so that the other draws of a seed are what they were without.
    random = np.random.default_rng([int(draw[7] * 2**53), 1])
    if random.random() >= config.misaligned_share:
        return window, flow
    window, flow = window.clone(), flow.clone()
    for number in range(len(window)):
        shifts = random.integers(-config.misaligned_px, config.misaligned_px + 1, size=2).tolist()
        if number != len(window) // 2 and random.random() < 0.5:
            window[number] = window[number].roll(shifts, dims=(-2, -1))
            flow[number] = torch.nan
    return window, flow


def _noisy(window: Tensor, config: TrainConfig, draw: float) -> Tensor:
    """A window (F, 3, H, W) with noise of its own in every frame, in whole 8-bit codes."""
    low, high = config.noise_code
    random = np.random.default_rng(int(draw * 2**53))
    noise = torch.from_numpy(random.standard_normal(window.shape, dtype=np.float32))
    return ((window * 255 + (low + (high - low) * draw) * noise).round() / 255).clamp(0, 1)

"""The loss: L1 in PQ as the paper, colour, motion, and two guards against what a dataset can't show."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vsdslnet.color.bases import base_pq
from vsdslnet.color.ictcp import nits_to_ictcp
from vsdslnet.color.measured import measured_pq
from vsdslnet.color.transfer import pq_to_nits
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion.compensation import compensate_
from vsdslnet.network.window import WindowNetwork
from vsdslnet.training.config.run import LossConfig
from vsdslnet.training.dataset.batches import Batch
from vsdslnet.training.initialisation.offsets import motion_distance
from vsdslnet.training.pointwise.restoration import Teacher, lines_at
from vsdslnet.training.simulation.synthetic import saturated_shapes

__all__ = [
    "FLASH_SHARE",
    "GREY_CAST_SLACK",
    "Objective",
    "detail_distance",
    "entering",
    "flash",
    "flashing",
    "grey_fields",
    "itp_distance",
    "ramp_shortfall",
    "window_weights",
    "with_intruder",
]

FLASH_SHARE = 0.4
"""Of the times that steadiness is looked at: a flash in a neighbouring frame; otherwise something enters."""
GREY_CAST_SLACK = 0.001
"""Difference of the channels that a flat grey field may come out with: one 10-bit code."""


class Objective(nn.Module):
    """The network and its loss as one module, so that DistributedDataParallel sees one forward.

    ``teacher`` is what the ``restore`` term learns from; it is no part of the module.
    """

    def __init__(self, network: WindowNetwork, config: LossConfig, teacher: Teacher | None = None) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self._teacher = teacher

    def forward(self, batch: Batch, guard_seed: int | None = None) -> dict[str, Tensor]:
        """Every weighted term by its name, and their sum as "loss"; guards only with a ``guard_seed``."""
        output, offsets = self._render(batch, self.network.shared_conditions(batch.whole))
        weights = self.config
        share = window_weights(batch.window[:, self.network.config.radius], batch.target, weights.fair_floor)
        terms = {"l1": weights.l1 * (share * (output - batch.target).abs().mean(dim=(1, 2, 3))).mean()}
        if weights.detail:
            terms["detail"] = weights.detail * detail_distance(output, batch.target)
        if weights.restore and self._teacher is not None:
            restored = self._teacher(batch.clean, batch.whole, batch.boxes)
            terms["restore"] = weights.restore * (output - restored).abs().mean()
        if weights.itp:
            terms["itp"] = weights.itp * (share * itp_distance(output, batch.target)).mean()
        if weights.flow and offsets is not None:
            terms["flow"] = weights.flow * motion_distance(offsets, batch.flow)
        if guard_seed is not None:
            random = np.random.default_rng(guard_seed)
            if weights.steady:
                terms["steady"] = weights.steady * self._steady(batch, random)
            if weights.ramp:
                terms["ramp"] = weights.ramp * self._ramps(batch, random)
            if weights.shapes and self._teacher is not None:
                terms["shapes"] = weights.shapes * self._shapes(batch, self._teacher, random)
        terms["loss"] = torch.stack(list(terms.values())).sum()
        return terms

    def _render(self, batch: Batch, conditions: Any) -> tuple[Tensor, Tensor | None]:
        """The network's output and, of DSLNet, LDOE's offsets on the way."""
        if not isinstance(self.network, DSLNet):
            return self.network.render(batch.window, conditions, batch.boxes), None
        return self.network.render_with_offsets(batch.window, conditions, batch.boxes)

    def _shapes(self, batch: Batch, teacher: Teacher, random: np.random.Generator) -> Tensor:
        """L1 to the teacher on synthetic shapes, which stand in the place of the batch's first crop."""
        window, clean = saturated_shapes(batch.window.shape[1], batch.window.shape[-1], random)
        if self.network.config.motion_compensated:
            compensate_(window)
        whole, boxes, device = batch.whole[:1], batch.boxes[:1], batch.window.device
        output = self.network.render(window[None].to(device), self.network.shared_conditions(whole), boxes)
        return (output - teacher(clean[None].to(device), whole, boxes)).abs().mean()

    def _steady(self, batch: Batch, random: np.random.Generator) -> Tensor:
        """Shift of half the crops, beyond the slack, between two frames while something enters, or beside a flash.

        Between frames, because that is what is seen: a network may follow the frame as a whole if it
        takes the window's time over it.
        """
        half = max(1, len(batch.boxes) // 2)
        window, boxes = batch.window[:half], batch.boxes[:half]
        whole = batch.whole[:half]
        if random.random() < FLASH_SHARE:
            other, presence = flash(whole, random), flashing(whole.shape[1], random)
        else:
            other, presence = with_intruder(whole, boxes, random), entering(whole.shape[1], random)
        windows = [torch.where(there.to(whole.device).view(1, -1, 1, 1, 1), other, whole) for there in presence]
        outputs = [self.network.render(window, self.network.shared_conditions(w), boxes) for w in windows]
        return ((outputs[1] - outputs[0]).abs() - self.config.steady_slack).clamp(min=0).mean()

    def _ramps(self, batch: Batch, random: np.random.Generator) -> Tensor:
        """Shortfall of slope on flat fields and on ramps that stand inside the batch's real frames."""
        device = batch.window.device
        frames, radius = batch.window.shape[1], self.network.config.radius
        fields = grey_fields(4, 24, random).to(device)
        window = fields[:, None].expand(-1, frames, -1, -1, -1)
        flat = self.network(window)[..., 8:-8, 8:-8].mean(dim=(-2, -1))
        base = base_pq(fields, self.network.config.base)[..., 8:-8, 8:-8].mean(dim=(-2, -1))
        loss = ramp_shortfall(flat[1::2] - flat[::2], base[1::2] - base[::2], self.config.ramp_slope)
        loss = loss + (flat.amax(dim=1) - flat.amin(dim=1) - GREY_CAST_SLACK).clamp(min=0).mean()
        start, end = np.sort(random.random(2)) if random.random() < 0.5 else (0.0, 1.0)
        line = torch.linspace(float(start), float(end), 96, device=device)
        ramp = line.expand(1, frames, 3, 32, -1)
        conditions = self.network.shared_conditions(batch.whole[:1])
        box = [(0.2, 0.2, 0.8, 0.8)]
        out = self.network.render(ramp, conditions, box)
        # Its neighbourhood is that of the real frame, for both.
        lines = None if not isinstance(self.network, DSLNet) else lines_at(self.network, batch.whole[:1], (32, 96), box)
        analytic = base_pq(ramp[:, radius], self.network.config.base, lines)
        inner = slice(8, -8)
        rise = out[..., inner, 1:][..., inner] - out[..., inner, :-1][..., inner]
        base_rise = analytic[..., inner, 1:][..., inner] - analytic[..., inner, :-1][..., inner]
        total: Tensor = loss + ramp_shortfall(rise, base_rise, self.config.ramp_slope)
        return total


def window_weights(sdr: Tensor, target: Tensor, floor: float) -> Tensor:
    """Weights (N,) of windows (N, 3, H, W): ``2 floor / (the measured base's own L1 + floor)``, all 1 without a floor.

    Quality is counted in ratios (PSNR), an L1 in differences: unweighted, the pictures whose look nobody could
    guess decide what happens to those that the formula already has right.
    """
    if not floor:
        return sdr.new_ones(len(sdr))
    missed = (measured_pq(sdr) - target).abs().mean(dim=(1, 2, 3))
    return 2 * floor / (missed + floor)


def itp_distance(pq_a: Tensor, pq_b: Tensor) -> Tensor:
    """Mean dE_ITP / 720 (BT.2124) between PQ pictures (N, 3, H, W), each: (N,), in fp32."""
    with torch.autocast(pq_a.device.type, enabled=False):
        a, b = (nits_to_ictcp(pq_to_nits(pq.float().clamp(1e-4, 1))) for pq in (pq_a, pq_b))
        di, dt, dp = (a - b).unbind(-3)
        # The floor keeps the square root's gradient finite where both agree.
        return (di.square() + 0.25 * dt.square() + dp.square() + 1e-8).sqrt().mean(dim=(-2, -1))


def detail_distance(pq_a: Tensor, pq_b: Tensor) -> Tensor:
    """Mean absolute difference between the slopes of two PQ pictures (N, 3, H, W), over 1 and 2 px."""
    error = pq_a - pq_b
    slopes = [error[..., px:, :] - error[..., :-px, :] for px in (1, 2)]
    slopes += [error[..., px:] - error[..., :-px] for px in (1, 2)]
    return torch.stack([slope.abs().mean() for slope in slopes]).mean()


def ramp_shortfall(rise: Tensor, base_rise: Tensor, slope: tuple[float, float]) -> Tensor:
    """How far rises lie outside [low, high] times the base's rise, in 10-bit PQ codes, mean / 1023."""
    low, high = slope[0] * base_rise, slope[1] * base_rise
    return ((low - rise).clamp(min=0) + (rise - high).clamp(min=0)).mean() / base_rise.mean().clamp(min=1e-4) / 100


def grey_fields(pairs: int, size: int, random: np.random.Generator) -> Tensor:
    """2 * ``pairs`` flat grey pictures (2P, 3, size, size): neighbours 1 to 4 8-bit codes apart, darker first."""
    level = torch.from_numpy(random.random(pairs).astype(np.float32))
    step = torch.from_numpy(random.integers(1, 5, pairs).astype(np.float32)) / 255
    low = level * (1 - step)
    both = torch.stack([low, low + step], dim=1).flatten()
    return both[:, None, None, None].expand(-1, 3, size, size)


def with_intruder(whole: Tensor, boxes: list[tuple[float, float, float, float]], random: np.random.Generator) -> Tensor:
    """Whole frames (N, F, 3, h, w) with a bright (three of four) or dark rectangle at a side away from each box."""
    out = whole.clone()
    height, width = whole.shape[-2:]
    for sample, (x0, _, x1, _) in zip(out, boxes, strict=True):
        extent = int(width * random.uniform(0.1, 0.4))
        left = 0 if (x0 + x1) / 2 > 0.5 else width - extent
        top = int(height * random.uniform(0, 0.5))
        bottom = min(height, top + int(height * random.uniform(0.2, 1)))
        color = random.uniform(0.75, 1, 3) if random.random() < 0.75 else random.uniform(0, 0.1, 3)
        patch = torch.from_numpy(color.astype(np.float32)).to(whole).view(1, 3, 1, 1)
        sample[:, :, top:bottom, left : left + extent] = patch
    return out


def flash(whole: Tensor, random: np.random.Generator) -> Tensor:
    """Whole frames (N, F, 3, h, w) drowned in light, as by a photographer's flash."""
    left = float(random.uniform(0, 0.3))
    return left * whole + (1 - left) * float(random.uniform(0.8, 1))


def flashing(frames: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A window without a flash, and one with it in a frame beside the centre: in which frames, twice (F,) bool."""
    beside = [frame for frame in range(frames) if frame != frames // 2]
    position = torch.arange(frames)
    return position < 0, position == int(random.choice(beside))


def entering(frames: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """In which frames of two neighbouring windows a thing is there while it enters: twice (F,) bool.

    It stays, or is gone after one frame; the second window sees it one frame earlier, as time would have it.
    """
    entry = int(random.integers(1, frames + 1))
    position = torch.arange(frames)
    if random.random() < 0.75:
        return position >= entry, position >= entry - 1
    return position == entry, position == entry - 1

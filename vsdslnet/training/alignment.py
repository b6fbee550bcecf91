"""A warm-up for LDOE: learn motion by itself, where it is known, before anything else trains.

The task's own loss says almost nothing about offsets that start at zero; simulated camera moves say
exactly where each pixel went. A few minutes of that, and neighbours arrive aligned from the first step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.batches import Batch, draw_batch
from vsdslnet.training.fast_depthwise import use_fast_depthwise
from vsdslnet.training.pool import Pool
from vsdslnet.training.train_config import TrainConfig

__all__ = ["endpoint_error_px", "motion_distance", "train_alignment"]

_RATE = 5e-4
_WARMUP_STEPS = 100


def train_alignment(network: DSLNet, pool: Pool, config: TrainConfig) -> list[float]:
    """Train LDOE alone for ``config.alignment_steps``; returns each step's endpoint error in px."""
    ldoe = network.dmfa.ldoe
    device = next(ldoe.parameters()).device
    if device.type == "cpu":
        use_fast_depthwise(ldoe)
    optimiser = torch.optim.Adam(ldoe.parameters(), betas=config.optimiser.betas)
    errors = []
    for step in range(config.alignment_steps):
        progress = step / config.alignment_steps
        rate = _RATE * min(1.0, (step + 1) / _WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = rate
        # Its own draws: negative seeds are not allowed, so the stream is told apart by a third number.
        loss = endpoint_error_px(network, draw_batch(pool, config, step, stream=1).to(device), config)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(ldoe.parameters(), 1.0)
        optimiser.step()
        errors.append(float(loss.detach()))
    return errors


def endpoint_error_px(network: DSLNet, batch: Batch, config: TrainConfig) -> Tensor:
    """Mean distance in px between a frame's mean offset and its known motion."""
    ldoe = network.dmfa.ldoe
    frames = batch.window.flatten(1, 2)
    with torch.autocast(frames.device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16"):
        encoded = ldoe.encode(frames)
        offsets = ldoe.offsets(encoded, ldoe.kernels(encoded), (frames.shape[-2], frames.shape[-1]))
    return motion_distance(offsets, batch.flow)


def motion_distance(offsets: Tensor, flow: Tensor) -> Tensor:
    """Mean distance in px of each frame's mean offset (N, F*9*2, H, W; y, x) from the flow (N, F, 2; x, y)."""
    n, f, _, h, w = flow.shape
    mean = offsets.float().reshape(n, f, 9, 2, h, w).mean(dim=2).flip(2)
    known = torch.isfinite(flow).all(dim=2, keepdim=True)
    # The floor keeps the square root's gradient finite where both agree.
    distance = ((mean - torch.nan_to_num(flow)).square().sum(dim=2, keepdim=True) + 1e-4).sqrt()
    return (distance * known).sum() / known.sum().clamp(min=1)

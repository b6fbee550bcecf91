"""The fusion stage: LDOE and the deformable convolution learn to align and denoise, before the rest learns to use it.

Left to the loss, which is nearly all tone, offsets and neighbours' weights stay what they were. Here the rest
of the network is left out: one linear filter over all taps of all aligned frames has to give the centre frame
without the noise that was added. It starts as the least-squares solution and is trained with LDOE. Half of
the network's features then see the picture through it, the others see it as it is, and what follows learns
where to trust which.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.alignment import motion_distance
from vsdslnet.training.batches import Batch, draw_batch, with_noise
from vsdslnet.training.fast_depthwise import use_fast_depthwise
from vsdslnet.training.pool import Pool
from vsdslnet.training.train_config import TrainConfig

__all__ = ["denoise", "fusion_filter", "train_fusion"]

_STREAM, _START_STREAM = 4, 3
_START_BATCHES = 24
_STILL_SHARE = 0.05
_WARMUP_STEPS = 50
_BORDER_PX = 6
_STEP_PX = 2
_RIDGE = 1e-4
_L1_WEIGHT = 10.0


def train_fusion(
    network: DSLNet, pool: Pool, config: TrainConfig, report: Callable[[int, dict[str, float]], None] | None = None
) -> None:
    """Train LDOE and a filter for ``config.fusion.steps``, then give every second feature the filtered picture.

    A pure function of the seed and the pool; flat fields come out as before. ``report`` gets each step's loss terms.
    """
    stage = config.fusion
    drawn = msgspec.structs.replace(config, batch=stage.batch, noise_share=0.0, repeat_centre=_STILL_SHARE)
    start = [_noisy(draw_batch(pool, drawn, n, stream=_START_STREAM), config, n) for n in range(_START_BATCHES)]
    fusion = nn.Parameter(fusion_filter(network, start))
    use_fast_depthwise(network)
    parameters = [*network.dmfa.ldoe.parameters(), fusion]
    average = [parameter.detach().clone() for parameter in parameters]
    optimiser = torch.optim.Adam(parameters, lr=stage.rate, betas=config.optimiser.betas)
    inner = slice(_BORDER_PX, -_BORDER_PX)
    for step in range(stage.steps):
        rate = stage.rate * min(1.0, (step + 1) / _WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / stage.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        noisy, clean, flow = _noisy(draw_batch(pool, drawn, step, stream=_STREAM), config, _START_BATCHES + step)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.precision == "bf16"):
            output, offsets = denoise(network, _keeping_flat(fusion, network.config.radius), noisy)
        terms = {
            "l1": _L1_WEIGHT * (output.float() - clean)[..., inner, inner].abs().mean(),
            "flow": stage.flow * motion_distance(offsets, flow),
        }
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        decay = min(stage.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(average, parameters, strict=True):
                mean.lerp_(value, 1 - decay)
        if report is not None:
            report(step + 1, {name: float(value.detach()) for name, value in terms.items()})
    with torch.no_grad():
        for value, mean in zip(parameters, average, strict=True):
            value.copy_(mean)
        weight = network.dmfa.deform.weight
        colours = weight.view(len(weight), network.config.frames, 3, -1).sum(dim=(1, 3))
        filtered = colours @ _keeping_flat(fusion, network.config.radius)
        weight[::2] = filtered[::2].view_as(weight[::2])


def denoise(network: DSLNet, fusion: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """Windows (N, F, 3, H, W) through LDOE and a filter (3, F*27): the fused picture (N, 3, H, W) and the offsets."""
    frames = window.flatten(1, 2)
    ldoe = network.dmfa.ldoe
    encoded = ldoe.encode(frames)
    offsets = ldoe.offsets(encoded, ldoe.kernels(encoded), (frames.shape[-2], frames.shape[-1]))
    samples = network.dmfa.deform.sample(frames, offsets)
    return torch.einsum("ck,nkhw->nchw", fusion, samples.float()), offsets


@torch.no_grad()
def fusion_filter(network: DSLNet, pairs: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """The least-squares filter (3, F*27) from the taps of noisy windows' aligned frames to the clean centre.

    ``pairs`` hold noisy windows, clean centres and motion, as :func:`_noisy` makes them.
    """
    width = 27 * network.config.frames
    eye = torch.eye(width)
    normal, moments = torch.zeros(width, width, dtype=torch.float64), torch.zeros(width, 3, dtype=torch.float64)
    inner = slice(_BORDER_PX, -_BORDER_PX, _STEP_PX)
    own, channel = _own_taps(network.config.radius), _channels(network.config.frames)
    for noisy, clean, _ in pairs:
        samples, _ = denoise(network, eye, noisy)
        samples = samples[..., inner, inner].movedim(1, -1).flatten(0, -2)
        target = clean[..., inner, inner].movedim(1, -1).flatten(0, -2)
        differences = (samples - samples[:, own[channel]]).double()
        normal += differences.T @ differences
        moments += differences.T @ (target - samples[:, own]).double()
    ridge = _RIDGE * normal.diagonal().mean().clamp(min=1e-12) * eye.double()
    return _keeping_flat(torch.linalg.solve(normal + ridge, moments).T.float(), network.config.radius)


def _noisy(batch: Batch, config: TrainConfig, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """A batch's windows with noise, their centres without, and their motion."""
    stage, draws = config.fusion, np.random.default_rng((config.seed, _STREAM, step)).random((len(batch.window), 2))
    windows = [
        with_noise(window, stage.noise_code, float(level)) if chance < stage.noise_share else window
        for window, (chance, level) in zip(batch.window, draws, strict=True)
    ]
    return torch.stack(windows), batch.window[:, config.network.radius], batch.flow


def _keeping_flat(taps: Tensor, radius: int) -> Tensor:
    """A filter (3, F*27) with its own-pixel taps set so that flat fields pass: each colour's taps sum to itself."""
    channel = _channels(2 * radius + 1)
    sums = torch.stack([taps[:, channel == colour].sum(dim=1) for colour in range(3)], dim=1)
    return taps.index_add(1, _own_taps(radius), torch.eye(3) - sums)


def _own_taps(radius: int) -> Tensor:
    """Where the centre frame's own pixel stands among the samples, a colour."""
    return 27 * radius + 9 * torch.arange(3) + 4


def _channels(frames: int) -> Tensor:
    """The colour of every sample (F*27)."""
    return torch.arange(3).repeat_interleave(9).repeat(frames)

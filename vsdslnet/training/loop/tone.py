"""The tone stage: what to do with a picture's tone and colour, learnt from scattered points of many pictures.

How bright a picture's master was is told by the picture as a whole; it is most of the error, and it takes
many pictures, not many pixels. Space and time come after, in :mod:`vsdslnet.training.loop.run`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vsdslnet.color.bases import base_pq
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.stfm import ModulationVectors
from vsdslnet.training.config.run import ToneConfig, TrainConfig
from vsdslnet.training.initialisation.activations import initialise_activations
from vsdslnet.training.loop.objective import (
    FLASH_SHARE,
    GREY_CAST_SLACK,
    entering,
    flash,
    flashing,
    itp_distance,
    ramp_shortfall,
    window_weights,
    with_intruder,
)
from vsdslnet.training.pointwise.flat_field import render_points, spatial_at, vectors_of_frames
from vsdslnet.training.pointwise.points import PointBatch, Points
from vsdslnet.training.simulation.synthetic import colored_light

__all__ = ["train_tone"]

_STREAM = 2
_WARMUP_STEPS = 50
_INITIALISATION_WINDOWS = 384
_GREYS = 65
_RAMP_POINTS = 48
_FADE_STEP = 1 / 24
_FADE_SLOPE = (0.1, 1.7)
"""Between these times the base's fall; both conditions and points fade."""
_COLOR_SLACK = 0.015
"""PQ that pictures in coloured light may keep of what their brightness as a whole says: 15 codes of 10 bits."""


def train_tone(
    network: DSLNet, points: Points, config: TrainConfig, report: Callable[[int, dict[str, float]], None] | None = None
) -> None:
    """Initialise ``network`` from data and train it on points for ``config.tone.steps``; it ends as its own average.

    A pure function of the seed and the points. ``report`` gets each step's loss terms.
    """
    tone = config.tone
    torch.manual_seed(config.seed)
    if tone.initialise:
        random = np.random.default_rng((config.seed, _STREAM))
        chosen = random.integers(len(points), size=_INITIALISATION_WINDOWS)
        initialise_activations(network, points.take(chosen, random, tone.points))
    average = copy.deepcopy(network).requires_grad_(False)
    parameters = [p for name, p in network.named_parameters() if _learns(name, tone)]
    optimiser = torch.optim.AdamW(
        parameters, lr=tone.rate, betas=config.optimiser.betas, weight_decay=tone.weight_decay
    )
    for step in range(tone.steps):
        rate = tone.rate * min(1.0, (step + 1) / _WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / tone.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        random = np.random.default_rng((config.seed, _STREAM, step))
        guarded = tone.guard_every > 0 and step % tone.guard_every == 0
        terms = _terms(network, points.draw(random, tone.windows, tone.points), config, random, guarded=guarded)
        loss = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        decay = min(tone.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        if report is not None:
            report(step + 1, {name: float(value.detach()) for name, value in terms.items()})
    network.load_state_dict(average.state_dict())


def _learns(name: str, tone: ToneConfig) -> bool:
    if tone.conditions_only:
        return name.startswith(("stfm.condition", "stfm.modulation"))
    return not name.startswith("dmfa.ldoe")


def _terms(
    network: DSLNet, batch: PointBatch, config: TrainConfig, random: np.random.Generator, *, guarded: bool
) -> dict[str, Tensor]:
    features = network.stfm.condition.blocks(batch.frames)
    vectors = vectors_of_frames(network, features)
    spatial = spatial_at(vectors.spatial, batch.positions)
    output = render_points(network, batch.sdr, vectors, spatial)
    sdr, target = (points.transpose(1, 2)[..., None] for points in (batch.sdr, batch.target))
    if config.tone.target == "base":
        target = base_pq(sdr, network.config.base)
    share = window_weights(sdr, target, config.loss.fair_floor)
    terms = {
        "l1": config.loss.l1 * (share * (output - target).abs().mean(dim=(1, 2, 3))).mean(),
        "itp": config.loss.itp * (share * itp_distance(output, target)).mean(),
    }
    if guarded and config.tone.ramp:
        under_frames = _ramps(network, vectors, spatial[:, :1], config, random)
        fades = _fades(network, batch, random)
        terms["ramp"] = config.tone.ramp * (_greys(network, config, random) + under_frames + fades)
    if guarded and config.tone.colors:
        terms["colors"] = config.tone.colors * _colors(network, batch, random)
    if guarded and config.tone.steady:
        terms["steady"] = config.tone.steady * _steady(network, batch, features, config, random)
    return terms


def _greys(network: DSLNet, config: TrainConfig, random: np.random.Generator) -> Tensor:
    """Flat greys, each under its own conditions: slopes, cast, and the brightest over the base's."""
    levels = torch.linspace(0, 1, _GREYS)
    if random.random() < 0.5:  # fine steps somewhere
        levels = float(random.random()) * 0.9 + 0.1 * levels
    features = network.stfm.condition.blocks(levels[:, None, None, None].expand(-1, 3, 16, 16))
    vectors = vectors_of_frames(network, features)
    sdr = levels[:, None, None].expand(-1, 1, 3)
    spatial = vectors.spatial.mean(dim=(-2, -1))[:, None]
    codes = render_points(network, sdr, vectors, spatial)[:, :, 0, 0]
    base = base_pq(sdr.transpose(1, 2)[..., None], network.config.base)[:, :, 0, 0]
    shortfall = ramp_shortfall(codes.diff(dim=0), base.diff(dim=0), config.loss.ramp_slope)
    cast = (codes.amax(dim=1) - codes.amin(dim=1) - GREY_CAST_SLACK).clamp(min=0).mean()
    return shortfall + cast + (codes[-1] - base[-1].max()).clamp(min=0).mean()


def _ramps(
    network: DSLNet, vectors: ModulationVectors, spatial: Tensor, config: TrainConfig, random: np.random.Generator
) -> Tensor:
    """Slopes of a grey ramp as it would come out within half of the batch's frames."""
    half = max(1, len(spatial) // 2)
    levels = torch.linspace(0, 1, _RAMP_POINTS) * float(random.uniform(0.3, 1))
    sdr = levels[None, :, None].expand(half, -1, 3)
    some = ModulationVectors(*(vector[:half] for vector in vectors))
    codes = render_points(network, sdr, some, spatial[:half].expand(-1, _RAMP_POINTS, -1))[..., 0]
    base = base_pq(sdr.transpose(1, 2)[..., None], network.config.base)[..., 0]
    return ramp_shortfall(codes.diff(dim=-1), base.diff(dim=-1), config.loss.ramp_slope)


def _fades(network: DSLNet, batch: PointBatch, random: np.random.Generator) -> Tensor:
    """Half of the batch a step into a fade to black: nothing may get brighter, nor fall far more than the base."""
    half = max(1, len(batch.frames) // 2)
    level = float(random.uniform(_FADE_STEP, 1))
    codes, base = [], []
    for factor in (level - _FADE_STEP, level):
        sdr, frames = batch.sdr[:half] * factor, batch.frames[:half] * factor
        codes.append(_rendered(network, sdr, frames, batch.positions[:half]))
        base.append(base_pq(sdr.transpose(1, 2)[..., None], network.config.base))
    return ramp_shortfall(codes[1] - codes[0], base[1] - base[0], _FADE_SLOPE)


def _rendered(network: DSLNet, sdr: Tensor, frames: Tensor, positions: Tensor) -> Tensor:
    """Points of frames other than the batch's own, under the conditions of those."""
    vectors = vectors_of_frames(network, network.stfm.condition.blocks(frames))
    return render_points(network, sdr, vectors, spatial_at(vectors.spatial, positions))


def _colors(network: DSLNet, batch: PointBatch, random: np.random.Generator) -> Tensor:
    """How far half of the batch, put into coloured light, comes out from the base, beyond the slack."""
    half = max(1, len(batch.frames) // 2)
    frames, sdr = colored_light(batch.frames[:half], batch.sdr[:half], random)
    output = _rendered(network, sdr, frames, batch.positions[:half])
    base = base_pq(sdr.transpose(1, 2)[..., None], network.config.base)
    return ((output - base).abs() - _COLOR_SLACK).clamp(min=0).mean()


def _steady(
    network: DSLNet, batch: PointBatch, features: Tensor, config: TrainConfig, random: np.random.Generator
) -> Tensor:
    """Shift of one side's points, beyond the slack, while something enters on the other, or of all beside a flash."""
    half = max(1, len(features) // 2)
    frames, left = batch.frames[:half], torch.from_numpy(random.random(half) < 0.5)
    boxes = [(0.0, 0.0, 0.5, 1.0) if side else (0.5, 0.0, 1.0, 1.0) for side in left.tolist()]
    flashes = random.random() < FLASH_SHARE
    changed = flash(frames, random) if flashes else with_intruder(frames[:, None], boxes, random)[:, 0]
    presence = (flashing if flashes else entering)(network.config.frames, random)
    intruded = network.stfm.condition.blocks(changed)
    positions, sdr = batch.positions[:half], batch.sdr[:half]
    outputs = []
    for present in presence:
        window = torch.stack([intruded if there else features[:half] for there in present.tolist()], dim=1)
        vectors = network.stfm.condition.vectors(window)
        outputs.append(render_points(network, sdr, vectors, spatial_at(vectors.spatial, positions)))
    shift = ((outputs[1] - outputs[0]).abs() - config.loss.steady_slack).clamp(min=0).mean(dim=1)[..., 0]
    untouched = ((positions[..., 0] < 0.5) == left[:, None]) | flashes
    return (shift * untouched).sum() / untouched.sum().clamp(min=1)

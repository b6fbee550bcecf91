"""The training loop: a pure sequence of steps that can be stopped anywhere and goes on the same."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Adam

from vsdslnet import weights
from vsdslnet.errors import ArgumentError
from vsdslnet.inference.precision import bf16_is_native
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.window import WindowNetwork
from vsdslnet.training.config.run import OptimiserConfig, TrainConfig
from vsdslnet.training.dataset.batches import Windows, draw_batch
from vsdslnet.training.dataset.lessons import Lessons
from vsdslnet.training.dataset.store import Pool
from vsdslnet.training.evaluation.validation import validate
from vsdslnet.training.initialisation.offsets import start_alignment
from vsdslnet.training.loop.checkpoint import load_checkpoint, save_checkpoint
from vsdslnet.training.loop.fast_depthwise import use_fast_depthwise
from vsdslnet.training.loop.objective import Objective
from vsdslnet.training.loop.samples import write_samples
from vsdslnet.training.loop.tone import train_tone
from vsdslnet.training.pointwise.points import Points
from vsdslnet.training.pointwise.restoration import CleanBase, PointwiseTeacher, Teacher

__all__ = ["rate_factor", "train"]


_STILL_SHARE = 0.05
"""Of the windows that motion is learnt from; a pool has still ones of its own."""


def train(
    config: TrainConfig,
    pool: Pool | Lessons,
    run: Path,
    *,
    network: WindowNetwork | None = None,
    tone_pools: Sequence[Pool] = (),
    validation: Pool | None = None,
    stop_after: int | None = None,
    device: str = "auto",
) -> WindowNetwork:
    """Train, or go on training, in the folder ``run``; returns the averaged (EMA) network.

    Writes ``checkpoint.pt``, ``log.jsonl`` (one line a step or validation), ``ema.safetensors``, and with every
    validation ``samples/step-NNNNNN.png``: a window of each group beside its SDR version, base and target.
    Of ``Lessons`` the teacher's pictures are the targets, and the stages before the steps have to be left out.
    ``network`` is where a new run starts from (default: a fresh one, seeded); ``tone_pools`` are more
    pools for the tone stage. ``stop_after`` ends at that step with a checkpoint, as a kill would without one.
    ``device`` is "auto" (an accelerator where there is one), "cuda" or "cpu"; ArgumentError where it is not there.

    Under ``accelerate launch`` or ``torchrun`` every process takes its share of ``config.batch``, which
    must divide among them (else ArgumentError); log and files are the first process's.
    """
    # Unasked, accelerate takes torchrun's processes on a machine without a GPU for so many single ones.
    if device == "cuda" and not torch.cuda.is_available():
        raise ArgumentError("device", device, '"cpu" or "auto": PyTorch sees no CUDA device here')
    accelerator = Accelerator(cpu=device == "cpu" or not torch.accelerator.is_available())
    if config.batch % accelerator.num_processes:
        cure = "unequal shares would weigh windows unequally"
        raise ArgumentError("batch", config.batch, f"a multiple of the {accelerator.num_processes} processes", cure)
    side = min(pool.crop_size)
    if config.patch_px > side:
        cure = "build a pool of larger windows: [view] crop_height, crop_width in the recipe"
        raise ArgumentError("patch_px", config.patch_px, f"at most the side of the pool's windows, {side}", cure)
    torch.manual_seed(config.seed)
    network = network if network is not None else DSLNet(config.network)
    config = msgspec.structs.replace(config, network=network.config)
    run.mkdir(parents=True, exist_ok=True)
    if isinstance(network, DSLNet) and not (run / "checkpoint.pt").is_file():
        if isinstance(pool, Pool):
            _start(network, [pool, *tone_pools], config, run, accelerator)
        elif config.tone.steps or config.alignment_batches:
            got = (config.tone.steps, config.alignment_batches)
            raise ArgumentError("tone.steps, alignment_batches", got, "0 with lessons", "they learn from masters")
    taught = config.loss.restore or config.loss.shapes
    teacher = _teacher(network, config, run, accelerator) if taught else None
    network = network.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    if accelerator.device.type == "cpu":
        use_fast_depthwise(network)
    objective: nn.Module = Objective(network, config.loss, teacher)
    optimiser: Any = Adam(_parameter_groups(network, config.optimiser), betas=config.optimiser.betas)
    step = 0
    state = load_checkpoint(run / "checkpoint.pt", config)
    if state is not None:
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    objective, optimiser = accelerator.prepare(objective, optimiser)
    log = _Log(run / "log.jsonl", step, accelerator.is_main_process)
    last = min(config.steps, stop_after if stop_after is not None else config.steps)

    def save() -> None:
        if accelerator.is_main_process:
            state = {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
            }
            save_checkpoint(run / "checkpoint.pt", config, state)
            if isinstance(average, DSLNet):  # the tables' baselines have no weights file
                notes = {"training": f"step {step} of {config.steps}"}
                weights.save(average, run / "ema.safetensors", notes=notes)

    saved = time.monotonic()
    while step < last:
        started = time.monotonic()
        terms = _step(objective, optimiser, accelerator, network, config, pool, step)
        step += 1
        _average(average, network, min(config.ema_decay, (1 + step) / (10 + step)))
        log.write({"step": step, "seconds": round(time.monotonic() - started, 3), **terms})
        if time.monotonic() - saved > config.checkpoint_seconds:
            save()
            saved = time.monotonic()
        if validation is not None and (step % config.validate_every == 0 or step == config.steps):
            if accelerator.is_main_process:
                log.write({"step": step, "validation": validate(average, validation, config.validation_windows)})
                write_samples(average, validation, run / "samples" / f"step-{step:06d}.png")
            accelerator.wait_for_everyone()
    was_finished = state is not None and state["step"] == config.steps
    if step == config.steps and not was_finished and isinstance(average, DSLNet):
        _shrink(average, config.shrink)
    save()
    return average.eval()


@torch.no_grad()
def _shrink(network: DSLNet, factor: float) -> None:
    """Take all corrections back towards the base."""
    network.head.weight.mul_(factor)
    if network.head.bias is not None:
        network.head.bias.mul_(factor)


def _start(network: DSLNet, pools: Sequence[Pool], config: TrainConfig, run: Path, accelerator: Accelerator) -> None:
    """What a new run does before its steps, on the CPU: tone, then alignment.

    Both are made for the paper's positions and taps: ArgumentError on blocks of pixels.

    The tone stage's end is kept beside the checkpoint; a kill before that starts it anew.
    """
    if network.config.scale != 1 and (config.alignment_batches or (config.tone.steps and config.tone.calibrate)):
        cure = "a network on blocks starts from its teacher: --teacher, or tone.calibrate = false"
        raise ArgumentError("scale", network.config.scale, "1 where alignment_batches or tone.calibrate are set", cure)
    if config.tone.steps:
        path = run / "tone.safetensors"
        if accelerator.is_main_process and not path.is_file():
            log = _Log(run / "tone.jsonl", 0, True)
            points = Points(pools, config.tone.look_shares)
            train_tone(network, points, config, lambda step, terms: log.write({"step": step, **terms}))
            weights.save(network, path, notes={"training": f"tone stage, {config.tone.steps} steps"})
        accelerator.wait_for_everyone()
        network.load_state_dict(weights.load_network(weights.read(path)).state_dict())
    if config.alignment_batches:
        moving = msgspec.structs.replace(config, repeat_centre=_STILL_SHARE)
        start_alignment(network, lambda n: draw_batch(pools[0], moving, n, stream=1), config.alignment_batches)


def _teacher(network: WindowNetwork, config: TrainConfig, run: Path, accelerator: Accelerator) -> Teacher:
    """What the schedule names; the network as it is before a run's first step is kept in its folder."""
    if config.loss.teacher == "base" and isinstance(network, DSLNet):
        return CleanBase(network)
    if not isinstance(network, DSLNet):
        cure = "the tables' other networks have no such points"
        got = (config.loss.restore, config.loss.shapes)
        raise ArgumentError("loss.restore, loss.shapes", got, "0, or a DSLNet to train", cure)
    path = run / "teacher.safetensors"
    if accelerator.is_main_process and not path.is_file():
        weights.save(network, path, notes={"training": "the network before the steps"})
    accelerator.wait_for_everyone()
    return PointwiseTeacher(weights.load_network(weights.read(path)).to(accelerator.device))


def _step(
    objective: nn.Module,
    optimiser: Any,
    accelerator: Accelerator,
    network: WindowNetwork,
    config: TrainConfig,
    pool: Windows,
    step: int,
) -> dict[str, float]:
    """One optimiser step; returns the loss terms, means over all processes."""
    batch = draw_batch(pool, config, step, accelerator.process_index, accelerator.num_processes)
    batch = batch.to(accelerator.device)
    # For the baselines' dropout: as much a function of the step as the batch is.
    torch.manual_seed((config.seed * 1_000_003 + step) * accelerator.num_processes + accelerator.process_index)
    factor = rate_factor(config.optimiser, step, config.steps)
    for group in optimiser.param_groups:
        group["lr"] = group["base_rate"] * factor
    guards = config.loss.guard_every > 0 and step % config.loss.guard_every == 0
    # Not accelerate's own mixed precision, which is fixed once a process.
    with torch.autocast(accelerator.device.type, dtype=torch.bfloat16, enabled=_in_bf16(config, accelerator.device)):
        terms: dict[str, Tensor] = objective(batch, config.seed * 1_000_003 + step if guards else None)
    optimiser.zero_grad(set_to_none=True)
    accelerator.backward(terms["loss"])
    norm = accelerator.clip_grad_norm_(network.parameters(), config.optimiser.clip_norm)
    if norm is not None and torch.isfinite(norm):
        optimiser.step()
    means: Any = accelerator.reduce({name: value.detach() for name, value in terms.items()}, reduction="mean")
    return {name: round(float(value), 6) for name, value in means.items()}


def _in_bf16(config: TrainConfig, device: torch.device) -> bool:
    return bf16_is_native(device) if config.precision == "auto" else config.precision == "bf16"


def rate_factor(config: OptimiserConfig, step: int, steps: int) -> float:
    """The learning rate of a step as a factor on ``rate``."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "halving":
        return float(0.5 ** sum(step >= at for at in config.halve_at))
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return 0.5 * (1 + float(torch.cos(torch.tensor(progress * torch.pi))))


def _parameter_groups(network: WindowNetwork, config: OptimiserConfig) -> list[dict[str, Any]]:
    factors = {"stfm.condition": config.condition_rate, "stfm.modulation": config.condition_rate}
    factors |= {"dmfa.ldoe": config.offset_rate, "head": config.head_rate}
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        factor = next((f for prefix, f in factors.items() if name.startswith(prefix)), 1.0)
        if not factor:
            parameter.requires_grad_(False)
            continue
        groups.setdefault(factor, []).append(parameter)
    return [
        {"params": parameters, "base_rate": config.rate * factor, "lr": config.rate * factor}
        for factor, parameters in groups.items()
    ]


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, decay: float) -> None:
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
    # Statistics of a norm are averages already.
    for kept, statistic in zip(average.buffers(), network.buffers(), strict=True):
        kept.copy_(statistic)


class _Log:
    """JSON lines, cut back to the checkpoint's step when a run resumes."""

    def __init__(self, path: Path, step: int, main: bool) -> None:
        self._path, self._main = path, main
        if main and path.is_file():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
            path.write_text("".join(f"{line}\n" for line in kept))

    def write(self, row: dict[str, Any]) -> None:
        if self._main:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):
        return float("inf")

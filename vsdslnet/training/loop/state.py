"""The state of a run between two steps, and the step: whatever was run before, the same from a checkpoint on."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Adam

from vsdslnet import weights
from vsdslnet.inference.precision import bf16_is_native
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.window import WindowNetwork
from vsdslnet.training.config.run import OptimiserConfig, TrainConfig
from vsdslnet.training.dataset.batches import Windows, draw_batch
from vsdslnet.training.loop.checkpoint import load_checkpoint, save_checkpoint
from vsdslnet.training.loop.fast_depthwise import use_fast_depthwise
from vsdslnet.training.loop.objective import Objective
from vsdslnet.training.pointwise.restoration import Teacher

__all__ = ["TrainingState", "rate_factor"]


class TrainingState:
    """The network, its average (EMA), the optimiser and the steps they have seen; from a checkpoint if there is one.

    ``resumed`` says whether there was. ArgumentError if the checkpoint is another run's.
    """

    def __init__(
        self, network: WindowNetwork, config: TrainConfig, run: Path, accelerator: Accelerator, teacher: Teacher | None
    ) -> None:
        self._config, self._run, self._accelerator = config, run, accelerator
        self.network: WindowNetwork = network.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: WindowNetwork = copy.deepcopy(self.network).requires_grad_(False)
        if accelerator.device.type == "cpu":
            use_fast_depthwise(self.network)
        objective: nn.Module = Objective(self.network, config.loss, teacher)
        optimiser: Any = Adam(_parameter_groups(self.network, config.optimiser), betas=config.optimiser.betas)
        self.step = 0
        state = load_checkpoint(run / "checkpoint.pt", config)
        self.resumed = state is not None
        if state is not None:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]
        self._objective, self._optimiser = accelerator.prepare(objective, optimiser)

    def save(self) -> None:
        """Write ``checkpoint.pt`` and, of a DSLNet, ``ema.safetensors``: the main process does, others nothing."""
        if not self._accelerator.is_main_process:
            return
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
        }
        save_checkpoint(self._run / "checkpoint.pt", self._config, state)
        if isinstance(self.average, DSLNet):  # the tables' baselines have no weights file
            notes = {"training": f"step {self.step} of {self._config.steps}"}
            weights.save(self.average, self._run / "ema.safetensors", notes=notes)

    def advance(self, dataset: Windows) -> dict[str, float]:
        """One step of the optimiser, and of the average; returns the loss terms, means over all processes."""
        config, accelerator, step = self._config, self._accelerator, self.step
        batch = draw_batch(dataset, config, step, accelerator.process_index, accelerator.num_processes)
        batch = batch.to(accelerator.device)
        # For the baselines' dropout: as much a function of the step as the batch is.
        torch.manual_seed((config.seed * 1_000_003 + step) * accelerator.num_processes + accelerator.process_index)
        factor = rate_factor(config.optimiser, step, config.steps)
        for group in self._optimiser.param_groups:
            group["lr"] = group["base_rate"] * factor
        guards = config.loss.guard_every > 0 and step % config.loss.guard_every == 0
        # Not accelerate's own mixed precision, which is fixed once a process.
        with torch.autocast(
            accelerator.device.type, dtype=torch.bfloat16, enabled=_in_bf16(config, accelerator.device)
        ):
            terms: dict[str, Tensor] = self._objective(batch, config.seed * 1_000_003 + step if guards else None)
        self._optimiser.zero_grad(set_to_none=True)
        accelerator.backward(terms["loss"])
        norm = accelerator.clip_grad_norm_(self.network.parameters(), config.optimiser.clip_norm)
        if norm is not None and torch.isfinite(norm):
            self._optimiser.step()
        means: Any = accelerator.reduce({name: value.detach() for name, value in terms.items()}, reduction="mean")
        self.step += 1
        _average(self.average, self.network, min(config.ema_decay, (1 + self.step) / (10 + self.step)))
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

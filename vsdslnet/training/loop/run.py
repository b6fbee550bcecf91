"""The training loop: a pure sequence of steps that can be stopped anywhere and goes on the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from accelerate import Accelerator

from vsdslnet.errors import ArgumentError
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.window import WindowNetwork
from vsdslnet.training.config.run import TrainConfig
from vsdslnet.training.dataset.lessons import Lessons
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.evaluation.validation import validate
from vsdslnet.training.loop.initialise import initialise, teacher_of
from vsdslnet.training.loop.log import Log
from vsdslnet.training.loop.samples import write_samples
from vsdslnet.training.loop.state import TrainingState

__all__ = ["train"]


def train(
    config: TrainConfig,
    dataset: WindowDataset | Lessons,
    run: Path,
    *,
    network: WindowNetwork | None = None,
    tone_datasets: Sequence[WindowDataset] = (),
    validation: WindowDataset | None = None,
    stop_after: int | None = None,
    device: str = "auto",
) -> WindowNetwork:
    """Train, or go on training, in the folder ``run``; returns the averaged (EMA) network.

    Writes ``checkpoint.pt``, ``log.jsonl`` (one line a step or validation), ``ema.safetensors``, and with every
    validation ``samples/step-NNNNNN.png``: a window of each group beside its SDR version, base and target.
    Of ``Lessons`` the teacher's pictures are the targets, and the stages before the steps have to be left out.
    ``network`` is where a new run starts from (default: a fresh one, seeded); ``tone_datasets`` are more
    datasets for the tone stage. ``stop_after`` ends at that step with a checkpoint, as a kill would without one.
    ``device`` is "auto" (an accelerator where there is one), "cuda" or "cpu"; ArgumentError where it is not there.

    Under ``accelerate launch`` or ``torchrun`` every process takes its share of ``config.batch``, which
    must divide among them (else ArgumentError); log and files are the first process's.
    """
    accelerator = _accelerator(config, dataset, device)
    torch.manual_seed(config.seed)
    network = network if network is not None else DSLNet(config.network)
    config = msgspec.structs.replace(config, network=network.config)
    run.mkdir(parents=True, exist_ok=True)
    if isinstance(network, DSLNet) and not (run / "checkpoint.pt").is_file():
        if isinstance(dataset, WindowDataset):
            initialise(network, [dataset, *tone_datasets], config, run, accelerator)
        elif config.tone.steps or config.offset_batches:
            got = (config.tone.steps, config.offset_batches)
            raise ArgumentError("tone.steps, offset_batches", got, "0 with lessons", "they learn from masters")
    taught = config.loss.restore or config.loss.shapes
    teacher = teacher_of(network, config, run, accelerator) if taught else None
    state = TrainingState(network, config, run, accelerator, teacher)
    was_finished = state.resumed and state.step == config.steps
    log = Log(run / "log.jsonl", state.step, accelerator.is_main_process)
    last = min(config.steps, stop_after if stop_after is not None else config.steps)
    saved = time.monotonic()
    while state.step < last:
        started = time.monotonic()
        terms = state.advance(dataset)
        log.write({"step": state.step, "seconds": round(time.monotonic() - started, 3), **terms})
        if time.monotonic() - saved > config.checkpoint_seconds:
            state.save()
            saved = time.monotonic()
        if validation is not None and (state.step % config.validate_every == 0 or state.step == config.steps):
            if accelerator.is_main_process:
                figures = validate(state.average, validation, config.validation_windows)
                log.write({"step": state.step, "validation": figures})
                write_samples(state.average, validation, run / "samples" / f"step-{state.step:06d}.png")
            accelerator.wait_for_everyone()
    if state.step == config.steps and not was_finished and isinstance(state.average, DSLNet):
        _shrink(state.average, config.shrink)
    state.save()
    return state.average.eval()


def _accelerator(config: TrainConfig, dataset: WindowDataset | Lessons, device: str) -> Accelerator:
    """Where to train; ArgumentError if it is not there, or has other processes or windows than the run needs."""
    # Unasked, accelerate takes torchrun's processes on a machine without a GPU for so many single ones.
    if device == "cuda" and not torch.cuda.is_available():
        raise ArgumentError("device", device, '"cpu" or "auto": PyTorch sees no CUDA device here')
    accelerator = Accelerator(cpu=device == "cpu" or not torch.accelerator.is_available())
    if config.batch % accelerator.num_processes:
        cure = "unequal shares would weigh windows unequally"
        raise ArgumentError("batch", config.batch, f"a multiple of the {accelerator.num_processes} processes", cure)
    side = min(dataset.crop_size)
    if config.patch_px > side:
        cure = "build a dataset of larger windows: [view] crop_height, crop_width in the recipe"
        raise ArgumentError("patch_px", config.patch_px, f"at most the side of the dataset's windows, {side}", cure)
    return accelerator


@torch.no_grad()
def _shrink(network: DSLNet, factor: float) -> None:
    """Take all corrections back towards the base."""
    network.head.weight.mul_(factor)
    if network.head.bias is not None:
        network.head.bias.mul_(factor)

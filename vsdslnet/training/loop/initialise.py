"""What a run does once, before its first step: the stages that initialise the network, and what it is taught by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from accelerate import Accelerator

from vsdslnet import weights
from vsdslnet.errors import ArgumentError
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.window import WindowNetwork
from vsdslnet.training.config.run import TrainConfig
from vsdslnet.training.dataset.batches import draw_batch
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.initialisation.offsets import initialise_offsets
from vsdslnet.training.loop.log import Log
from vsdslnet.training.loop.tone import train_tone
from vsdslnet.training.pointwise.points import Points
from vsdslnet.training.pointwise.restoration import CleanBase, PointwiseTeacher, Teacher

__all__ = ["initialise", "teacher_of"]

_STILL_SHARE = 0.05
"""Of the windows that motion is learnt from; a dataset has still ones of its own."""


def initialise(
    network: DSLNet, datasets: Sequence[WindowDataset], config: TrainConfig, run: Path, accelerator: Accelerator
) -> None:
    """What a new run does before its steps, on the CPU: tone, then offsets.

    Both are made for the paper's positions and taps: ArgumentError on blocks of pixels.

    The tone stage's end is kept beside the checkpoint; a kill before that starts it anew.
    """
    if network.config.scale != 1 and (config.offset_batches or (config.tone.steps and config.tone.initialise)):
        cure = "a network on blocks starts from its teacher: --teacher, or tone.initialise = false"
        raise ArgumentError("scale", network.config.scale, "1 where offset_batches or tone.initialise are set", cure)
    if config.tone.steps:
        path = run / "tone.safetensors"
        if accelerator.is_main_process and not path.is_file():
            log = Log(run / "tone.jsonl", 0, True)
            points = Points(datasets, config.tone.look_shares)
            train_tone(network, points, config, lambda step, terms: log.write({"step": step, **terms}))
            weights.save(network, path, notes={"training": f"tone stage, {config.tone.steps} steps"})
        accelerator.wait_for_everyone()
        network.load_state_dict(weights.load_network(weights.read(path)).state_dict())
    if config.offset_batches:
        moving = msgspec.structs.replace(config, repeat_centre=_STILL_SHARE)
        initialise_offsets(network, lambda n: draw_batch(datasets[0], moving, n, stream=1), config.offset_batches)


def teacher_of(network: WindowNetwork, config: TrainConfig, run: Path, accelerator: Accelerator) -> Teacher:
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

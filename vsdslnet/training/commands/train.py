"""Train DSLNet on a dataset: ``python -m vsdslnet.training train --dataset DATASET --validation VAL --run runs/one``.

Start it again with the same arguments and it goes on where it was. Several processes (docs/training.md):
``accelerate launch --num_processes 8 scripts/train.py ...``, or ``torchrun``, which takes ``--run`` for its
own: call it ``--out`` there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from accelerate import PartialState

from vsdslnet import weights
from vsdslnet.color.bases import BASES
from vsdslnet.errors import ArgumentError, DslnetError
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.config.run import TrainConfig, available_schedules, load_schedule
from vsdslnet.training.dataset.lessons import Lessons, prepare_lessons
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.initialisation.blend_head import with_frame_blend
from vsdslnet.training.initialisation.from_teacher import inherit_conditions
from vsdslnet.training.loop.log_plots import plot_log
from vsdslnet.training.loop.run import train


def main(given: Sequence[str] | None = None) -> None:
    """Parse, train, plot."""
    arguments = _parser().parse_args(given)
    try:
        _run(arguments)
    except DslnetError as error:
        raise SystemExit(f"train: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vsdslnet.training train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dataset",
        "--pool",  # its name in 0.2
        type=Path,
        action="append",
        required=True,
        help="folder made by build; with --teacher also several",
    )
    parser.add_argument(
        "--tone-dataset", "--tone-pool", type=Path, action="append", default=[], help="more datasets for the tone stage"
    )
    parser.add_argument("--validation", type=Path, help="validation dataset")
    parser.add_argument("--run", "--out", type=Path, required=True, help="folder for checkpoint, log and weights")
    parser.add_argument("--schedule", default="two-cores", help=f"{', '.join(available_schedules())} or a .toml file")
    parser.add_argument(
        "--device", default="auto", choices=["auto", "cuda", "cpu"], help="auto is cuda where there is one"
    )
    parser.add_argument("--steps", type=int, help="number of steps, instead of the schedule's")
    parser.add_argument("--seed", type=int, help="seed of the run, instead of the schedule's")
    parser.add_argument(
        "--look-share",
        nargs=2,
        action="append",
        default=[],
        metavar=("LOOK", "SHARE"),
        help="instead of the schedule's [tone.look_shares] of that look: how often the tone stage draws it",
    )
    parser.add_argument("--start", "--from", help="model name or .safetensors file a new run starts from")
    parser.add_argument("--base", choices=sorted(BASES), help="with --start: the formula to correct from now on")
    parser.add_argument(
        "--gain-radius",
        type=int,
        help="with --start: how far the gain of the measured base sees, 0 to 8 positions",
    )
    parser.add_argument(
        "--frame-blend", action="store_true", help="with --start: the head gets channels that blend frames"
    )
    parser.add_argument(
        "--teacher", help="model name or .safetensors file whose pictures are the targets, in place of the masters"
    )
    parser.add_argument("--lessons", type=Path, help="folder for the teacher's pictures; default: that of the run")
    parser.add_argument("--lesson-windows", type=int, help="windows of each dataset that become lessons; default: all")
    return parser


def _run(arguments: argparse.Namespace) -> None:
    config = load_schedule(arguments.schedule)
    changes = {name: getattr(arguments, name) for name in ("steps", "seed")}
    config = msgspec.structs.replace(config, **{k: v for k, v in changes.items() if v is not None})
    config = _with_look_shares(config, arguments.look_share)
    network = None
    if arguments.start:
        network = weights.load_network(weights.read(weights.find(arguments.start))).requires_grad_(True)
        base = arguments.base or network.config.base
        radius = network.config.gain_radius if arguments.gain_radius is None else arguments.gain_radius
        network.config = msgspec.structs.replace(network.config, base=base, gain_radius=radius)
        if arguments.frame_blend:
            network = with_frame_blend(network)
        config = msgspec.structs.replace(config, network=network.config)
    datasets = [WindowDataset(path) for path in arguments.dataset]
    if arguments.teacher:
        teacher = weights.read(weights.find(arguments.teacher))
        config, network = _pupil(config, network, teacher)
        folder = arguments.lessons or arguments.run / "lessons"
        windows: WindowDataset | Lessons = _lessons(datasets, teacher, folder, arguments.lesson_windows)
    elif len(datasets) > 1:
        raise ArgumentError("dataset", len(datasets), "one", "several need --teacher, or are for --tone-dataset")
    else:
        windows = datasets[0]
    train(
        config,
        windows,
        arguments.run,
        network=network,
        tone_datasets=[WindowDataset(path) for path in arguments.tone_dataset],
        validation=WindowDataset(arguments.validation) if arguments.validation else None,
        device=arguments.device,
    )
    log = arguments.run / "log.jsonl"
    if log.is_file():  # a run of the tone stage alone has no steps
        plot_log(log, arguments.run / "log.png")


def _pupil(config: TrainConfig, network: DSLNet | None, teacher: weights.WeightsFile) -> tuple[TrainConfig, DSLNet]:
    """The schedule on the teacher's base and gate, and the network of it that is to learn."""
    same = {
        name: getattr(teacher.config, name)
        for name in ("radius", "base", "gain_radius", "black_anchor", "condition_pixels")
    }
    config = msgspec.structs.replace(config, network=msgspec.structs.replace(config.network, **same))
    if network is None:
        torch.manual_seed(config.seed)
        network = DSLNet(config.network)
        inherit_conditions(network, weights.load_network(teacher))
    network.config = config.network
    return config, network


def _lessons(datasets: list[WindowDataset], teacher: weights.WeightsFile, out: Path, windows: int | None) -> Lessons:
    """The teacher's pictures of datasets, made where they are missing, by the first of several processes."""
    folders = [out / f"{dataset.path.name}-{teacher.sha256[:12]}" for dataset in datasets]
    state = PartialState(cpu=not torch.accelerator.is_available())
    if state.is_main_process:
        for dataset, folder in zip(datasets, folders, strict=True):
            prepare_lessons(dataset, teacher, folder, windows=windows, on_progress=_report)
    state.wait_for_everyone()
    return Lessons(list(zip(datasets, folders, strict=True)))


def _report(done: int, total: int) -> None:
    print(f"lessons: {done} of {total} windows", flush=True)


def _with_look_shares(config: TrainConfig, given: list[list[str]]) -> TrainConfig:
    try:
        shares = {look: float(share) for look, share in given}
    except ValueError:
        raise ArgumentError("look-share", given, "a look and a number") from None
    tone = msgspec.structs.replace(config.tone, look_shares={**config.tone.look_shares, **shares})
    return msgspec.structs.replace(config, tone=tone)

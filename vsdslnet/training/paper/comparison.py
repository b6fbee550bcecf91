"""Train networks of the paper's tables alike, measure them alike: same data, seed, steps and schedule."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import torch

from vsdslnet.errors import ArgumentError
from vsdslnet.network.config import Base
from vsdslnet.network.window import WindowNetwork
from vsdslnet.training.config.run import LossConfig, TrainConfig
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.evaluation.metrics import delta_e_mean, mean_by_name, psnr_db, sr_sim
from vsdslnet.training.evaluation.validation import render_window
from vsdslnet.training.loop.run import train
from vsdslnet.training.paper.tables import Figures
from vsdslnet.training.paper.variants import VARIANTS, build_variant, count_parameters

__all__ = ["compare", "finished", "frame_seconds", "measure", "measure_base", "scaled_schedule"]

_FRAME_PX = (270, 480)


def scaled_schedule(
    config: TrainConfig, *, base: Base, steps: int | None = None, batch: int | None = None, patch_px: int | None = None
) -> TrainConfig:
    """A schedule with another number of steps, batch or patch: halvings keep their place in the run.

    What the tables compare is the paper's training, so the loss is L1 alone and one rate serves all
    parameters of all networks. ``base`` is what all of them correct ("none": the paper's letter).
    """
    steps = steps or config.steps
    optimiser = msgspec.structs.replace(
        config.optimiser,
        halve_at=tuple(round(at * steps / config.steps) for at in config.optimiser.halve_at),
        warmup_steps=min(config.optimiser.warmup_steps, max(1, steps // 10)),
        condition_rate=1.0,
        offset_rate=1.0,
    )
    return msgspec.structs.replace(
        config,
        network=msgspec.structs.replace(config.network, base=base),
        optimiser=optimiser,
        loss=LossConfig(l1=1.0, itp=0.0, flow=0.0, steady=0.0, ramp=0.0),
        steps=steps,
        batch=batch or config.batch,
        patch_px=patch_px or config.patch_px,
    )


def compare(
    names: Iterable[str],
    config: TrainConfig,
    dataset: WindowDataset,
    validation: WindowDataset,
    out: Path,
    *,
    seeds: Sequence[int],
    windows: int,
) -> list[Figures]:
    """Train and measure every variant with every seed; goes on where it was stopped.

    Each run has its folder ``out/<name>/seed<seed>`` with checkpoint, log and ``figures.json``.
    ``windows`` bounds the validation windows a group.
    """
    figures = []
    for seed in seeds:
        for name in names:
            run = out / name / f"seed{seed}"
            own = msgspec.structs.replace(config, seed=seed, network=VARIANTS[name].config(config.network))
            torch.manual_seed(seed)
            network = train(own, dataset, run, network=build_variant(name, config.network))
            figures.append(_figures(name, own, network, validation, run, windows))
    return figures


def finished(out: Path, *, steps: int, windows: int, also: Iterable[Path] = ()) -> list[Figures]:
    """What :func:`compare` has measured in a folder so far with this budget, by name and seed.

    ``also``: files of the rows of other folders, whose own come first.
    """
    paths = sorted(out.glob("*/seed*/figures.json"))
    rows = [msgspec.json.decode(path.read_bytes(), type=Figures) for path in paths]
    for path in also:
        try:
            rows += msgspec.json.decode(path.read_bytes(), type=list[Figures])
        except (OSError, msgspec.DecodeError) as error:
            raise ArgumentError("--also", str(path), f"a figures.json of this command ({error})") from None
    found: dict[tuple[str, int], Figures] = {}
    for row in rows:
        if (row.steps, row.windows) == (steps, windows):
            found.setdefault((row.variant, row.seed), row)
    return list(found.values())


def _figures(
    name: str,
    config: TrainConfig,
    network: WindowNetwork,
    validation: WindowDataset,
    run: Path,
    windows: int,
) -> Figures:
    path = run / "figures.json"
    if path.is_file():
        known = msgspec.json.decode(path.read_bytes(), type=Figures)
        if (known.steps, known.windows) == (config.steps, windows):
            return known
    measured = measure(network, validation, windows)
    figures = Figures(
        variant=name,
        seed=config.seed,
        steps=config.steps,
        parameters=count_parameters(network),
        windows=windows,
        **_whole(measured),
        group_psnr_db=_psnr_by_group(measured),
    )
    path.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    return figures


def _whole(measured: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """Means over all windows of all groups."""
    return mean_by_name([row for rows in measured.values() for row in rows])


def _psnr_by_group(measured: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    return {group: mean_by_name(rows)["psnr_db"] for group, rows in measured.items()}


@torch.no_grad()
def measure(network: WindowNetwork, dataset: WindowDataset, windows: int) -> dict[str, list[dict[str, float]]]:
    """PSNR, SR-SIM and dE_ITP of PQ within [0, 1000 cd/m²], of ``windows`` windows of each group."""
    network.eval()
    measured: dict[str, list[dict[str, float]]] = {}
    for group, members in dataset.groups.items():
        rows = measured[group] = []
        stride = max(1, len(members) // windows)
        for index in members[::stride][:windows]:
            pq, target = render_window(network, dataset[index])
            rows.append(
                {
                    "psnr_db": psnr_db(pq, target),
                    "sr_sim": sr_sim(pq, target),
                    "delta_e_itp": delta_e_mean(pq, target),
                }
            )
    return measured


def measure_base(
    config: TrainConfig, dataset: WindowDataset, windows: int
) -> tuple[dict[str, float], dict[str, float]]:
    """The base that all networks correct, as an untrained one is, whichever: means of all windows, PSNR by group."""
    measured = measure(build_variant("csrnet", config.network), dataset, windows)
    return _whole(measured), _psnr_by_group(measured)


@torch.no_grad()
def frame_seconds(name: str, frame_px: tuple[int, int] = _FRAME_PX) -> float:
    """CPU seconds of one core for one frame of (height, width), fp32, channels-last: the least of three.

    CPU time of one thread, so that whatever else the machine does stays out of the comparison. Weights
    don't change what a frame costs, so a fresh network is timed.
    """
    network = build_variant(name).eval().to(memory_format=torch.channels_last)
    window = torch.rand(1, network.config.frames, 3, *frame_px)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds = []
    for _ in range(4):
        begin = time.process_time()
        network(window)
        seconds.append(time.process_time() - begin)
    torch.set_num_threads(threads)
    return min(seconds[1:])

"""A dataset from still and HDRI material: windows of simulated shots, made shard by shard in processes of their own."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import cv2
import msgspec
import torch

from vsdslnet.errors import ArgumentError
from vsdslnet.training.config.dataset import DataConfig, GroupConfig
from vsdslnet.training.dataset.store import fill_dataset, write_shard
from vsdslnet.training.material.scenes import Scene, find_scenes
from vsdslnet.training.simulation.shot import ShotMaker
from vsdslnet.training.simulation.windows import Window

__all__ = ["build_dataset"]

_SHOTS_PER_SHARD = 16


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    """One shard: shots ``first..first+shots`` of a group, written from window ``start`` on."""

    shard: int
    group: GroupConfig
    first: int
    shots: int
    start: int


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker process has to know besides the job."""

    config: DataConfig
    data: str
    out: str
    split: str
    seed: int


def build_dataset(
    config: DataConfig,
    *,
    data: Path,
    out: Path,
    windows: int,
    seed: int,
    split: str = "train",
    workers: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Build a dataset, or go on with an unfinished one of the same recipe; returns its manifest.

    ``split`` ``train`` makes ``windows`` windows of the recipe's mixture, ``validation`` its groups. The result
    depends on (config, data, seed, split, windows) alone: not on ``workers``, which are processes of their own, nor
    on what the caller's process has set, nor on having been interrupted.
    Raises ArgumentError when ``out`` holds a dataset of another recipe.
    """
    if split not in ("train", "validation"):
        raise ArgumentError("split", split, "train or validation")
    groups = [GroupConfig(name="train", windows=windows)] if split == "train" else list(config.validation)
    jobs = _jobs(groups, config.view.crops_per_view)
    if not jobs:
        raise ArgumentError("windows", windows, "at least 1")
    task = _Task(config=config, data=str(data), out=str(out), split=split, seed=seed)
    sizes = [job.shots * config.view.crops_per_view for job in jobs]
    identity = {
        "split": split,
        "seed": seed,
        "config": msgspec.to_builtins(config),
        "sources_sha256": _hash_of(find_scenes(data, config, split=split), data),
    }
    return fill_dataset(
        out,
        config=config,
        identity=identity,
        sizes=sizes,
        make=lambda todo: _results(task, [jobs[number] for number in todo], workers),
        on_progress=on_progress,
    )


def _hash_of(scenes: list[Scene], data: Path) -> str:
    """One hash of every file the scenes are made of, by their names below the data folder."""
    digest = hashlib.sha256()
    for scene in scenes:
        files = sorted(scene.path.rglob("*.png")) if scene.path.is_dir() else [scene.path]
        for path in files:
            digest.update(path.relative_to(data).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _jobs(groups: Iterable[GroupConfig], crops: int) -> list[_Job]:
    jobs: list[_Job] = []
    start = 0
    for group in groups:
        shots = -(-group.windows // crops)
        for first in range(0, shots, _SHOTS_PER_SHARD):
            count = min(_SHOTS_PER_SHARD, shots - first)
            jobs.append(_Job(shard=len(jobs), group=group, first=first, shots=count, start=start))
            start += count * crops
    return jobs


# Of a worker process: what it has opened, and the sign that nobody waits for its work any more.
_makers: dict[bytes, ShotMaker] = {}
_stop: Event | None = None


def _start_worker(stop: Event) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """Left alone by a killed parent, an executor's worker would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_job(task: _Task, job: _Job) -> tuple[int, str]:
    """Make one shard, write it into the arrays; returns its number and the hash of what was written."""
    key = msgspec.json.encode((task, job.group))
    if key not in _makers:
        _makers[key] = ShotMaker(task.config, data=Path(task.data), split=task.split, group=job.group, seed=task.seed)
    windows: list[Window] = []
    for shot in range(job.first, job.first + job.shots):
        if _stop is not None and _stop.is_set():
            raise InterruptedError
        windows += _makers[key].windows(shot)
    return job.shard, write_shard(Path(task.out), job.shard, windows, start=job.start)


def _results(task: _Task, jobs: list[_Job], workers: int) -> Generator[tuple[int, str]]:
    """Make the shards in fresh processes, a single worker's too.

    What a caller's process has been through (OpenCV's optimisations turned off, say) shows in the bytes of what it
    makes, so nothing is made in it. Nor in forks of it, which would inherit that.
    """
    if not jobs:
        return
    context = get_context("spawn")
    stop = context.Event()
    executor = ProcessPoolExecutor(
        min(max(1, workers), len(jobs)), mp_context=context, initializer=_start_worker, initargs=(stop,)
    )
    try:
        futures = [executor.submit(_run_job, task, job) for job in jobs]
        for future in futures:
            yield future.result()
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)

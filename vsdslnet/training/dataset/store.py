"""A dataset of windows on disk: memory-mapped arrays, a manifest with hashes, resumable by shard.

One window is

- ``sdr`` (5, 96, 160, 3) uint8: full-range R'G'B' BT.709 of a crop, degraded, what the plugin's input looks like;
- ``cond`` (5, 72, 128, 3) uint8: the whole degraded view, area-averaged;
- ``hdr`` (96, 160, 3) uint16: the centre frame's clean target, PQ BT.2020 full range, at most PQ(1000 cd/m²);
- ``clean`` (96, 160, 3) uint16: its SDR side before anything degraded it, R'G'B' BT.709 full range (of given SDR video,
  which is as it is, the same as in ``sdr``);
- ``crop`` (4,) float32: x0, y0, x1, y1 of the crop in the view, 0..1;
- ``flow`` (5, 96, 160, 2) float16: true displacement (x, y) in px from the centre frame's pixel to the same scene
  point in frame k; NaN where unknown, hidden or outside the view;
- a line of ``meta.jsonl``: group, scene, kind, look and its parameters, grade, degradation.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.training.config.dataset import DataConfig, GroupConfig
from vsdslnet.training.material.scenes import Scene, find_scenes
from vsdslnet.training.simulation.shot import ShotMaker
from vsdslnet.training.simulation.windows import Window

__all__ = ["WindowDataset", "build_dataset", "fill_dataset", "planes", "write_json", "write_shard"]

_SHOTS_PER_SHARD = 16
_FORMAT = 2
_ARRAYS = ("sdr", "cond", "hdr", "clean", "crop", "flow")


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


def _layout(config: DataConfig, windows: int) -> dict[str, tuple[tuple[int, ...], str]]:
    view = config.view
    frames, height, width = view.frames, view.crop_height, view.crop_width
    return {
        "sdr": ((windows, frames, height, width, 3), "uint8"),
        "cond": ((windows, frames, view.cond_height, view.cond_width, 3), "uint8"),
        "hdr": ((windows, height, width, 3), "uint16"),
        "clean": ((windows, height, width, 3), "uint16"),
        "crop": ((windows, 4), "float32"),
        "flow": ((windows, frames, height, width, 2), "float16"),
    }


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


def write_shard(out: Path, shard: int, windows: list[Window], *, start: int) -> str:
    """Write the windows of a shard into the arrays from ``start`` on; returns the hash of what was written."""
    digest = hashlib.sha256()
    for name in _ARRAYS:
        array = np.lib.format.open_memmap(out / f"{name}.npy", mode="r+")
        block = np.stack([getattr(window, name) for window in windows])
        array[start : start + len(windows)] = block
        array.flush()
        digest.update(block.tobytes())
    lines = b"".join(msgspec.json.encode(window.meta) + b"\n" for window in windows)
    digest.update(lines)
    (out / "shards" / f"{shard:05d}.jsonl").write_bytes(lines)
    return digest.hexdigest()


def write_json(path: Path, value: object) -> None:
    """Write a file in one step: a reader sees the old one or the new one."""
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1))
    temporary.replace(path)


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


def fill_dataset(
    out: Path,
    *,
    config: DataConfig,
    identity: dict[str, Any],
    sizes: list[int],
    make: Callable[[list[int]], Generator[tuple[int, str]]],
    on_progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Fill a dataset shard by shard, going on where an earlier run stopped; returns the finished manifest.

    ``make`` gets the numbers of the missing shards, writes each with :func:`write_shard` and yields (number, hash).
    Raises ArgumentError when ``out`` holds a dataset of another ``identity``.
    """
    layout = _layout(config, sum(sizes))
    identity = {
        "format": _FORMAT,
        "windows": sum(sizes),
        **identity,
        "arrays": {name: {"shape": list(shape), "dtype": dtype} for name, (shape, dtype) in layout.items()},
    }
    manifest = _open_or_start(out, identity, layout)
    done: dict[str, str] = manifest["shards"]
    todo = [number for number in range(len(sizes)) if str(number) not in done]
    finished = sum(sizes[int(shard)] for shard in done)
    on_progress(finished, sum(sizes))
    with closing(make(todo)) as results:
        for shard, digest in results:
            done[str(shard)] = digest
            finished += sizes[shard]
            write_json(out / "manifest.json", manifest)
            on_progress(finished, sum(sizes))
    numbers = range(len(sizes))
    (out / "meta.jsonl").write_bytes(b"".join((out / "shards" / f"{k:05d}.jsonl").read_bytes() for k in numbers))
    order = "".join(done[str(number)] for number in numbers)
    manifest["complete"] = True
    manifest["sha256"] = hashlib.sha256(order.encode()).hexdigest()
    write_json(out / "manifest.json", manifest)
    return manifest


def _open_or_start(
    out: Path, identity: dict[str, Any], layout: dict[str, tuple[tuple[int, ...], str]]
) -> dict[str, Any]:
    path = out / "manifest.json"
    if path.exists():
        manifest: dict[str, Any] = json.loads(path.read_text())
        plain = json.loads(msgspec.json.encode(identity))
        changed = [key for key, value in plain.items() if manifest.get(key) != value]
        if changed:
            raise ArgumentError(
                "out",
                str(out),
                f"a folder of the same dataset (differs in {', '.join(changed)})",
                "take another folder",
            )
        return manifest
    (out / "shards").mkdir(parents=True, exist_ok=True)
    for name, (shape, dtype) in layout.items():
        np.lib.format.open_memmap(out / f"{name}.npy", mode="w+", dtype=dtype, shape=shape).flush()
    manifest = {**identity, "complete": False, "shards": {}}
    write_json(path, manifest)
    return manifest


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


class WindowDataset(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Random access to a finished dataset; safe to use from DataLoader workers (each opens its own maps).

    With ``look`` it is the part of the dataset made with that SDR look ("youtube", "phone", ...).
    """

    def __init__(self, path: Path | str, *, look: str | None = None) -> None:
        """Raises MediaError when the folder holds no finished dataset of this format, or none of the look."""
        self.path = Path(path)
        try:
            self.manifest: dict[str, Any] = json.loads((self.path / "manifest.json").read_text())
        except (OSError, ValueError) as error:
            raise MediaError(f"{self.path} holds no dataset ({error})") from error
        if self.manifest.get("format") != _FORMAT or not self.manifest.get("complete"):
            raise MediaError(f"{self.path} holds no finished dataset of format {_FORMAT}: run build_dataset again")
        self.meta: list[dict[str, Any]] = [
            json.loads(line) for line in (self.path / "meta.jsonl").read_text().splitlines()
        ]
        # Where each window of this dataset stands in the arrays on disk.
        self._rows = [row for row, meta in enumerate(self.meta) if look is None or meta["look"] == look]
        if not self._rows:
            raise MediaError(f"{self.path} holds no windows" + (f" of look {look!r}" if look is not None else ""))
        self.meta = [self.meta[row] for row in self._rows]
        self._arrays: dict[str, NDArray[Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_arrays": {}}

    def __len__(self) -> int:
        return len(self.meta)

    @property
    def groups(self) -> dict[str, list[int]]:
        """Window numbers by group, in order."""
        found: dict[str, list[int]] = {}
        for number, meta in enumerate(self.meta):
            found.setdefault(meta["group"], []).append(number)
        return found

    @property
    def rows(self) -> list[int]:
        """Where each window of this part stands in :meth:`array`."""
        return self._rows

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width of the windows' frames."""
        height, width = self.array("hdr").shape[1:3]
        return height, width

    def array(self, name: str) -> NDArray[Any]:
        """A memory-mapped array (``sdr``, ``cond``, ...) of all looks; :attr:`rows` are this part of it. Read-only."""
        if name not in self._arrays:
            self._arrays[name] = np.load(self.path / f"{name}.npy", mmap_mode="r")
        return self._arrays[name]

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One window as stored, copied into tensors.

        Pictures keep their whole numbers; :func:`planes` makes signal of them.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"window {index} of a dataset of {len(self)}")
        return {name: torch.from_numpy(np.array(self.array(name)[self._rows[index]])) for name in _ARRAYS}


def planes(stored: Tensor) -> Tensor:
    """Stored pictures (..., H, W, 3) of uint8 or uint16 as signal 0..1, (..., 3, H, W)."""
    return stored.movedim(-1, -3).float() / torch.iinfo(stored.dtype).max

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
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.training.config.dataset import DataConfig
from vsdslnet.training.simulation.windows import Window

__all__ = ["WindowDataset", "fill_dataset", "planes", "write_json", "write_shard"]

_FORMAT = 2
_ARRAYS = ("sdr", "cond", "hdr", "clean", "crop", "flow")


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
            raise MediaError(f"{self.path} holds no finished dataset of format {_FORMAT}: run build again")
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

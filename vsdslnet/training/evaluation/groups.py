"""Runs the network and the baselines over real pairs, datasets of windows and synthetic pictures, group by group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.network.window import WindowNetwork
from vsdslnet.stills.codes import read_rgb
from vsdslnet.training.dataset.store import planes
from vsdslnet.training.evaluation import self_checks, temporal_checks
from vsdslnet.training.evaluation.formulas import FORMULAS
from vsdslnet.training.evaluation.metrics import clip_pq, fidelity
from vsdslnet.training.evaluation.self_checks import Method, still
from vsdslnet.training.evaluation.validation import render_window
from vsdslnet.training.material.png import read_pq_signal

__all__ = [
    "CENTRE",
    "HELD_OUT_PAIRS",
    "OURS",
    "Group",
    "Pair",
    "Rows",
    "Windows",
    "evaluate_dataset",
    "evaluate_pairs",
    "load_pair",
    "load_pairs",
    "run_self_checks",
    "spread",
]

OURS = "DSLNet"
CENTRE = "DSLNet, centre frame repeated"

HELD_OUT_PAIRS = ("android_night_highrise", "pixel_02")
"""Real pairs that no training dataset draws from."""

_RAMPS = {"8-bit": 256, "10-bit": 1024, "float": None}
_FLOAT_LEVELS = 1500

Rows = dict[str, list[dict[str, float]]]
"""Method -> one row of measures a picture."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """What was measured over one kind of material: method -> one row of measures a picture."""

    name: str
    pictures: list[str]
    rows: Rows


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An SDR picture (3, H, W), R'G'B' 0..1, and its HDR one (3, H, W), PQ, at most 1000 cd/m²."""

    name: str
    group: str
    sdr: Tensor
    pq: Tensor


OnPicture = Callable[[Pair, Mapping[str, Tensor]], None]
"""Sees every picture measured, with the result of each method."""


class Windows(Protocol):
    """What a dataset offers (:class:`vsdslnet.training.dataset.store.WindowDataset`)."""

    @property
    def groups(self) -> dict[str, list[int]]:
        """Window numbers by group."""
        ...

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``sdr``, ``cond`` (F, h, w, 3) uint8; ``hdr`` (h, w, 3) uint16 PQ; ``crop`` (4,) x0, y0, x1, y1."""
        ...


def load_pairs(data: Path, *, max_side_px: int | None = None) -> Iterator[Pair]:
    """The real pairs under ``data/pairs``, held-out ones first; MediaError where a picture is missing."""
    folders = [path for path in (data / "pairs").glob("*") if (path / "sdr.png").is_file()]
    for folder in sorted(folders, key=lambda path: (path.name not in HELD_OUT_PAIRS, path.name)):
        yield load_pair(folder, max_side_px=max_side_px)


def load_pair(folder: Path, *, max_side_px: int | None = None) -> Pair:
    """One pair; with ``max_side_px`` both pictures are area-averaged (in signal) to fit it."""
    sdr = torch.from_numpy(read_rgb(folder / "sdr.png") / 255.0).float()
    pq = torch.from_numpy(read_pq_signal(folder / "hdr_pq2020.png"))
    if sdr.shape != pq.shape:
        raise MediaError(f"{folder}: SDR is {tuple(sdr.shape[:2])}, HDR {tuple(pq.shape[:2])}; sizes have to agree")
    sdr, pq = sdr.movedim(-1, 0).contiguous(), pq.movedim(-1, 0).contiguous()
    scale = max_side_px / max(sdr.shape) if max_side_px else 1.0
    if scale < 1:
        size = tuple(round(side * scale) for side in sdr.shape[1:])
        sdr = (F.interpolate(sdr[None], size=size, mode="area")[0] * 255).round() / 255
        pq = F.interpolate(pq[None], size=size, mode="area")[0]
    group = "phone-heldout" if folder.name in HELD_OUT_PAIRS else "phone-train"
    return Pair(name=folder.name, group=group, sdr=sdr, pq=clip_pq(pq))


def evaluate_pairs(
    pairs: Iterator[Pair] | Sequence[Pair],
    convert: Method,
    radius_frames: int,
    *,
    on_picture: OnPicture | None = None,
) -> list[Group]:
    """Formulas and the converter over real pairs as still windows; ``on_picture`` sees every result."""
    groups: dict[str, Group] = {}
    for pair in pairs:
        results = {name: formula(pair.sdr) for name, formula in FORMULAS.items()}
        results[OURS] = convert(still(pair.sdr, radius_frames))
        _note(groups, pair, results)
        if on_picture:
            on_picture(pair, results)
    return list(groups.values())


@torch.inference_mode()
def evaluate_dataset(
    dataset: Windows,
    network: WindowNetwork,
    *,
    per_group: int | None = None,
    on_picture: OnPicture | None = None,
) -> list[Group]:
    """Formulas, the network, and the network on its centre frame repeated, over a dataset's windows.

    ``per_group`` bounds the windows a group, spread evenly over it.
    """
    groups: dict[str, Group] = {}
    for group, numbers in dataset.groups.items():
        for number in spread(numbers, per_group):
            window = dataset[number]
            centre = planes(window["sdr"][len(window["sdr"]) // 2])
            results = {name: formula(centre) for name, formula in FORMULAS.items()}
            results[OURS], pq = render_window(network, window)
            results[CENTRE], _ = render_window(network, window, repeat_centre=True)
            pair = Pair(name=f"{group} {number}", group=group, sdr=centre, pq=pq)
            _note(groups, pair, results)
            if on_picture:
                on_picture(pair, results)
    return list(groups.values())


def spread(numbers: Sequence[int], most: int | None) -> Sequence[int]:
    """At most ``most`` of the numbers, evenly over them. Raises ArgumentError below 1."""
    if most is not None and most < 1:
        raise ArgumentError("per_group", most, "at least 1 window", "leave it out to measure all")
    if most is None or len(numbers) <= most:
        return numbers
    return [numbers[i * len(numbers) // most] for i in range(most)]


def _note(groups: dict[str, Group], pair: Pair, results: Mapping[str, Tensor]) -> None:
    found = groups.setdefault(pair.group, Group(name=pair.group, pictures=[], rows={}))
    found.pictures.append(pair.name)
    for method, result in results.items():
        found.rows.setdefault(method, []).append(fidelity(result, pair.pq))


def run_self_checks(convert: Method, radius_frames: int, *, quick: bool = False) -> dict[str, dict[str, float]]:
    """Every check on synthetic pictures and clips; ``quick`` leaves out the long flat ramps."""
    checks: dict[str, Callable[[Method, int], dict[str, float]]] = {
        "black": self_checks.black,
        "white": self_checks.white,
        "saturation ramps": self_checks.saturation_ramps,
        "frames of one hue": self_checks.colored_frames,
        "saturated patches": self_checks.saturated_patches,
        "static noise": temporal_checks.static_noise,
        "entering object": temporal_checks.entering_object,
        "flash": temporal_checks.flash,
        "fade": temporal_checks.fade,
    }
    for name, levels in _RAMPS.items():
        checks[f"ramp as a picture, {name}"] = partial(self_checks.grey_ramp_picture, levels=levels)
        if levels == 256 or not quick:
            flat = partial(self_checks.grey_ramp_flat, levels=levels or _FLOAT_LEVELS)
            checks[f"ramp of flat frames, {name}"] = flat
    return {name: check(convert, radius_frames) for name, check in checks.items()}

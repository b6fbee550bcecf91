"""Validation on the real: pairs of SDR and HDR pictures by their source, each source judged by what never saw it.

A source is a camera, a person or a project whose pictures share one pipeline. It is the part of a pair's name before
the first underscore; several pictures of one source say hardly more than one of them, so every figure is a mean over
sources of means over pictures, and "worst" is the worst source.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.measured import expand
from vsdslnet.color.transfer import nits_to_pq
from vsdslnet.stills.codes import read_rgb
from vsdslnet.stills.pictures import planes_of
from vsdslnet.training.evaluation.formulas import FORMULAS, neighbourhood_base_nits
from vsdslnet.training.evaluation.metrics import clip_pq, fidelity
from vsdslnet.training.evaluation.self_checks import Method, still
from vsdslnet.training.material.png import read_pq_signal
from vsdslnet.training.pointwise.base_curve import Levels, fit_curve, levels_of

__all__ = ["LEFT_OUT", "LEFT_OUT_NEAR", "RealPair", "evaluate_real_pairs", "find_real_pairs", "real_pairs_as_markdown"]

LEFT_OUT = "measured base, source left out"
"""The base refitted without the source that it is judged on."""

LEFT_OUT_NEAR = "the same, gain of the neighbourhood"
"""That base as it lies under the shipped networks: what a network has to beat."""

_PHONE = "phone"


class RealPair(NamedTuple):
    """One picture in both forms.

    ``kind``  "phone" or "photo_editor".
    ``sdr``   R'G'B' 0..1 BT.709 (3, H, W).
    ``pq``    PQ BT.2020 (3, H, W), at most 1000 cd/m².
    """

    name: str
    source: str
    kind: str
    sdr: Tensor
    pq: Tensor


def find_real_pairs(data: Path, *, max_side_px: int) -> Iterator[RealPair]:
    """Every pair below a data folder (``pairs/*/``, ``more/pairs/*/``); its originals are the same photographs.

    Pictures larger than ``max_side_px`` are area-averaged down in signal.
    """
    folders = [*(data / "pairs").glob("*"), *(data / "more" / "pairs").glob("*")]
    for folder in sorted(folders, key=lambda path: path.name):
        if (folder / "sdr.png").is_file():
            meta = json.loads((folder / "meta.json").read_text()) if (folder / "meta.json").is_file() else {}
            sdr = read_rgb(folder / "sdr.png") / 255
            pq = read_pq_signal(folder / "hdr_pq2020.png")
            yield _pair(folder.name, meta.get("group", _PHONE), planes_of(sdr), planes_of(pq), max_side_px)


def _pair(name: str, kind: str, sdr: Tensor, pq: Tensor, max_side_px: int) -> RealPair:
    scale = max_side_px / max(sdr.shape)
    if scale < 1:
        size = tuple(round(side * scale) for side in sdr.shape[1:])
        sdr = (F.interpolate(sdr[None], size=size, mode="area")[0] * 255).round() / 255
        pq = F.interpolate(pq[None], size=size, mode="area")[0]
    return RealPair(name, name.split("_", 1)[0], kind, sdr, clip_pq(pq))


Rows = dict[str, dict[str, dict[str, float]]]
"""Method -> picture -> measures of :func:`~vsdslnet.training.evaluation.metrics.fidelity`."""


def evaluate_real_pairs(pairs: Sequence[RealPair], methods: Mapping[str, tuple[Method, int]]) -> Rows:
    """Formulas, the base refitted without each picture's source, and ``methods`` (with their radius), on every pair."""
    levels = {pair.name: levels_of(pair.sdr, pair.pq) for pair in pairs}
    rows: Rows = {name: {} for name in (*FORMULAS, LEFT_OUT, LEFT_OUT_NEAR, *methods)}
    curves = {source: fit_curve(_others(pairs, levels, source)) for source in {pair.source for pair in pairs}}
    for pair in pairs:
        outputs = {name: formula(pair.sdr) for name, formula in FORMULAS.items()}
        curve = curves[pair.source]
        outputs[LEFT_OUT] = nits_to_pq(expand(pair.sdr, curve))
        outputs[LEFT_OUT_NEAR] = nits_to_pq(neighbourhood_base_nits(pair.sdr, curve))
        outputs |= {name: method(still(pair.sdr, radius)) for name, (method, radius) in methods.items()}
        for name, output in outputs.items():
            rows[name][pair.name] = fidelity(clip_pq(output), pair.pq)
    return rows


def _others(pairs: Sequence[RealPair], levels: Mapping[str, Levels], source: str) -> dict[str, list[Levels]]:
    others: dict[str, list[Levels]] = {}
    for pair in pairs:
        if pair.source != source:
            others.setdefault(pair.source, []).append(levels[pair.name])
    return others


def real_pairs_as_markdown(pairs: Sequence[RealPair], rows: Rows, *, title: str) -> str:
    """A line a source and method: dB / dE_ITP / SR-SIM / exposure in stops; means over sources, and the worst."""
    sources = sorted({pair.source for pair in pairs})
    members = {source: [pair.name for pair in pairs if pair.source == source] for source in sources}
    kinds = {source: next(pair.kind for pair in pairs if pair.source == source) for source in sources}
    lines = [
        f"# {title}\n",
        "PSNR in dB (PQ up to 1000 cd/m²) / dE_ITP / SR-SIM / exposure shift in stops, means of each source.\n",
        "| source | pictures | " + " | ".join(rows) + " |",
        "|---" * (2 + len(rows)) + "|",
    ]
    means = {
        method: {source: _mean([found[name] for name in members[source]]) for source in sources}
        for method, found in rows.items()
    }
    for source in sources:
        cells = [_cell(means[method][source]) for method in rows]
        lines.append(f"| {source} ({kinds[source]}) | {len(members[source])} | " + " | ".join(cells) + " |")
    overall = {method: _mean(list(by_source.values())) for method, by_source in means.items()}
    lines.append(f"| mean of sources | {len(pairs)} | " + " | ".join(_cell(overall[method]) for method in rows) + " |")
    worst = {method: min(row["psnr_db"] for row in by_source.values()) for method, by_source in means.items()}
    lines.append("| worst source, dB | | " + " | ".join(f"{worst[method]:.2f}" for method in rows) + " |")
    return "\n".join(lines) + "\n"


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _cell(row: Mapping[str, float]) -> str:
    return f"{row['psnr_db']:.2f} / {row['delta_e_itp']:.1f} / {row['sr_sim']:.4f} / {row['exposure_stops']:+.2f}"

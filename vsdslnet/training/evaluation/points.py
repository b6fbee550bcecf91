"""How near colours come to the masters', point by point: thousands of windows in seconds, not in hours.

The network answers a point as the middle of a flat field under the conditions of the point's own frame
(:mod:`vsdslnet.training.pointwise.flat_field`), so what it takes away of noise and compression does not count here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.evaluation.formulas import FORMULAS
from vsdslnet.training.evaluation.groups import OURS, Group, Rows
from vsdslnet.training.evaluation.metrics import clip_pq, delta_e_mean, exposure_shift_stops, mean_by_name, psnr_db
from vsdslnet.training.evaluation.report import lead_over_formulas
from vsdslnet.training.pointwise.flat_field import render_points, spatial_at, vectors_of_frames
from vsdslnet.training.pointwise.points import Points

__all__ = ["evaluate_points", "points_as_markdown"]

_WINDOWS = 32


@torch.no_grad()
def evaluate_points(datasets: Sequence[WindowDataset], network: DSLNet, *, points: int = 512) -> list[Group]:
    """Formulas and the network at ``points`` random points of every window; a pure function of datasets and network.

    A row has ``psnr_db`` (PQ up to 1000 cd/m²), ``delta_e_itp`` (BT.2124) and ``exposure_stops``.
    """
    groups: dict[str, Group] = {}
    for dataset in datasets:
        loaded = Points([dataset])
        for group, members in dataset.groups.items():
            rows: Rows = {name: [] for name in (*FORMULAS, OURS)}
            found = groups.setdefault(group, Group(name=group, pictures=[], rows=rows))
            found.pictures.extend(f"{group} {number}" for number in members)
            for first in range(0, len(members), _WINDOWS):
                some = np.array(members[first : first + _WINDOWS])
                batch = loaded.take(some, np.random.default_rng(members[first]), points)
                vectors = vectors_of_frames(network, network.stfm.condition.blocks(batch.frames))
                outputs = render_points(network, batch.sdr, vectors, spatial_at(vectors.spatial, batch.positions))
                pictures = (part.transpose(1, 2)[..., None] for part in (batch.sdr, batch.target))
                for sdr, target, output in zip(*pictures, outputs, strict=True):
                    for name, formula in FORMULAS.items():
                        found.rows[name].append(_row(formula(sdr), target))
                    found.rows[OURS].append(_row(output, target))
    return list(groups.values())


def points_as_markdown(groups: Sequence[Group], *, title: str) -> str:
    """One table: a group a line, each method's means, and the lead over the best formula of the group."""
    lines = [
        f"# {title}\n",
        "PSNR in dB / dE_ITP / exposure shift in stops; leads in dB / dE_ITP.\n",
        "| group | windows | " + " | ".join((*FORMULAS, OURS)) + " | lead over the best formula |",
        "|---" * (4 + len(FORMULAS)) + "|",
    ]
    for group in groups:
        cells = [_cell(mean_by_name(rows)) for rows in group.rows.values()]
        lead = lead_over_formulas(group)
        cells.append(f"{lead['psnr_db']:+.2f} / {lead['delta_e_itp']:+.1f}")
        lines.append(f"| {group.name} | {len(group.pictures)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _row(output: Tensor, target: Tensor) -> dict[str, float]:
    output, target = clip_pq(output), clip_pq(target)
    return {
        "psnr_db": psnr_db(output, target),
        "delta_e_itp": delta_e_mean(output, target),
        "exposure_stops": exposure_shift_stops(output, target),
    }


def _cell(mean: Mapping[str, float]) -> str:
    shift = mean["exposure_stops"]
    known = "–" if math.isnan(shift) else f"{shift:+.2f}"
    return f"{mean['psnr_db']:.2f} / {mean['delta_e_itp']:.1f} / {known}"

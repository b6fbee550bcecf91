"""What the network takes away of noise and compression, and what the neighbouring frames have to do with it.

The judge is the network itself, point by point, on the clean frame
(:class:`~vsdslnet.training.pointwise.restoration.PointwiseTeacher`): how bright the master was is out of the
question, and what is left is restoration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion.compensation import compensated
from vsdslnet.training.dataset.store import WindowDataset, planes
from vsdslnet.training.evaluation.frame_oracle import best_blend, best_blend_of_blocks
from vsdslnet.training.evaluation.groups import Group, Rows, spread
from vsdslnet.training.evaluation.metrics import clip_pq, mean_by_name, psnr_db
from vsdslnet.training.evaluation.validation import render_window
from vsdslnet.training.pointwise.restoration import PointwiseTeacher

__all__ = ["evaluate_noise", "noise_as_markdown"]

_FIVE, _ONE, _NONE = "all frames", "centre frame repeated", "point by point"
_FRAME_ORACLE, _BLOCK_ORACLE = "best weight a frame", "best weights a block"
_MASTER = "gain against the master"
_METHODS = (_FIVE, _ONE, _NONE, _FRAME_ORACLE, _BLOCK_ORACLE)


@torch.no_grad()
def evaluate_noise(dataset: WindowDataset, network: DSLNet, *, per_group: int | None = None) -> list[Group]:
    """PSNR (dB, PQ up to 1000 cd/m²) against the network on clean frames, for every group of the dataset.

    A row of each method has ``psnr_db``; ``gain against the master`` is what all frames have over one there, and the
    two ``best`` are bounds, see :mod:`vsdslnet.training.evaluation.frame_oracle`. A group whose windows know what
    their centre frame was coded as (I, P, B) is followed by a group of each kind.
    ``per_group`` bounds the windows a group, spread evenly over it.
    """
    teacher = PointwiseTeacher(network)
    groups = []
    for name, numbers in dataset.groups.items():
        rows: Rows = {method: [] for method in (*_METHODS, _MASTER)}
        some = spread(numbers, per_group)
        for number in some:
            item = dataset[number]
            middle, radius = len(item["sdr"]) // 2, network.config.radius
            whole = planes(item["cond"][middle - radius : middle + radius + 1])[None]
            x0, y0, x1, y1 = item["crop"].tolist()
            clean, window = planes(item["clean"]), planes(item["sdr"][middle - radius : middle + radius + 1])
            moved = compensated(window[None])[0]
            frames = (clean, window[radius], best_blend(moved, clean), best_blend_of_blocks(moved, clean))
            wanted, *rendered = (clip_pq(teacher(frame[None], whole, [(x0, y0, x1, y1)])[0]) for frame in frames)
            (five, master), (one, _) = (render_window(network, item, repeat_centre=again) for again in (False, True))
            for method, output in zip(_METHODS, (five, one, *rendered), strict=True):
                rows[method].append({"psnr_db": psnr_db(output, wanted)})
            rows[_MASTER].append({"psnr_db": psnr_db(five, master) - psnr_db(one, master)})
        whole_group = Group(name=name, pictures=[f"{name} {number}" for number in some], rows=rows)
        groups += [whole_group, *_by_picture_type(whole_group, [_centre_type(dataset.meta[n]) for n in some])]
    return groups


def _centre_type(meta: Mapping[str, Any]) -> str:
    types = str(meta.get("picture_types", ""))
    return types[len(types) // 2] if types else ""


def _by_picture_type(group: Group, types: Sequence[str]) -> list[Group]:
    parts = []
    for kind in sorted(set(types) - {""}):
        own = [k for k, known in enumerate(types) if known == kind]
        rows = {method: [values[k] for k in own] for method, values in group.rows.items()}
        parts.append(Group(name=f"{group.name}, {kind}", pictures=[group.pictures[k] for k in own], rows=rows))
    return parts


def noise_as_markdown(groups: Sequence[Group], *, title: str) -> str:
    """One table, a group a line, each method's mean in dB."""
    methods = (*_METHODS, _MASTER)
    lines = [
        f"# {title}\n",
        "PSNR in dB against what the network makes of the clean frame, point by point. The best weights are those of",
        "somebody who has seen the clean frame.\n",
        "| group | windows | " + " | ".join(methods) + " |",
        "|---" * (2 + len(methods)) + "|",
    ]
    for group in groups:
        means = [mean_by_name(group.rows[method])["psnr_db"] for method in methods]
        cells = [*(f"{mean:.1f}" for mean in means[:-1]), f"{means[-1]:+.2f}"]
        lines.append(f"| {group.name} | {len(group.pictures)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"

"""What the network takes away of noise and compression, and what the neighbouring frames have to do with it.

The judge is the network itself, point by point, on the clean frame
(:class:`~vsdslnet.training.pointwise.restoration.PointwiseTeacher`): how bright the master was is out of the
question, and what is left is restoration.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.dataset.store import WindowDataset, planes
from vsdslnet.training.evaluation.groups import Group, Rows, spread
from vsdslnet.training.evaluation.metrics import clip_pq, mean_by_name, psnr_db
from vsdslnet.training.evaluation.validation import render_window
from vsdslnet.training.pointwise.restoration import PointwiseTeacher

__all__ = ["evaluate_noise", "noise_as_markdown"]

_FIVE, _ONE, _NONE, _MASTER = "all frames", "centre frame repeated", "point by point", "gain against the master"


@torch.no_grad()
def evaluate_noise(dataset: WindowDataset, network: DSLNet, *, per_group: int | None = None) -> list[Group]:
    """PSNR (dB, PQ up to 1000 cd/m²) against the network on clean frames, for every group of the dataset.

    A row of each method has ``psnr_db``; ``gain against the master`` is what all frames have over one there.
    ``per_group`` bounds the windows a group, spread evenly over it.
    """
    teacher = PointwiseTeacher(network)
    groups = []
    for name, numbers in dataset.groups.items():
        rows: Rows = {method: [] for method in (_FIVE, _ONE, _NONE, _MASTER)}
        some = spread(numbers, per_group)
        for number in some:
            item = dataset[number]
            middle, radius = len(item["sdr"]) // 2, network.config.radius
            whole = planes(item["cond"][middle - radius : middle + radius + 1])[None]
            x0, y0, x1, y1 = item["crop"].tolist()
            frames = (planes(frame)[None] for frame in (item["clean"], item["sdr"][middle]))
            wanted, unrestored = (clip_pq(teacher(frame, whole, [(x0, y0, x1, y1)])[0]) for frame in frames)
            (five, master), (one, _) = (render_window(network, item, repeat_centre=again) for again in (False, True))
            for method, output in ((_FIVE, five), (_ONE, one), (_NONE, unrestored)):
                rows[method].append({"psnr_db": psnr_db(output, wanted)})
            rows[_MASTER].append({"psnr_db": psnr_db(five, master) - psnr_db(one, master)})
        groups.append(Group(name=name, pictures=[f"{name} {number}" for number in some], rows=rows))
    return groups


def noise_as_markdown(groups: Sequence[Group], *, title: str) -> str:
    """One table, a group a line, each method's mean in dB."""
    methods = (_FIVE, _ONE, _NONE, _MASTER)
    lines = [
        f"# {title}\n",
        "PSNR in dB against what the network makes of the clean frame, point by point.\n",
        "| group | windows | " + " | ".join(methods) + " |",
        "|---" * (2 + len(methods)) + "|",
    ]
    for group in groups:
        means = [mean_by_name(group.rows[method])["psnr_db"] for method in methods]
        cells = [*(f"{mean:.1f}" for mean in means[:-1]), f"{means[-1]:+.2f}"]
        lines.append(f"| {group.name} | {len(group.pictures)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"

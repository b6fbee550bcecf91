"""What a run's network makes of a picture of every group, as one PNG: to be looked at while it trains."""

from __future__ import annotations

from pathlib import Path

from vsdslnet.network.window import WindowNetwork
from vsdslnet.training.evaluation.groups import Windows, evaluate_dataset
from vsdslnet.training.evaluation.pictures import contact_rows, stack
from vsdslnet.views import Picture, picture_png

__all__ = ["write_samples"]


def write_samples(network: WindowNetwork, dataset: Windows, path: Path) -> None:
    """Write a PNG with a contact sheet's rows for the first window of each of the dataset's groups."""
    rows: list[Picture] = []
    evaluate_dataset(
        dataset, network, per_group=1, on_picture=lambda pair, results: rows.append(contact_rows(pair, results))
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture_png(stack(rows, across=False)))

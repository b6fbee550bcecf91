"""A run's log as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["plot_log", "read_log"]


def read_log(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The log's step rows and its validation rows."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [r for r in rows if "loss" in r], [r for r in rows if "validation" in r]


def plot_log(path: Path, picture: Path) -> None:
    """Draw loss terms over steps, and every group's PSNR and dE_ITP, into a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    steps, validations = read_log(path)
    figure, axes = plt.subplots(1, 3, figsize=(18, 5))
    for term in ("l1", "itp", "flow", "steady", "ramp"):
        points = [(row["step"], row[term]) for row in steps if term in row]
        if points:
            x, y = np.array(points).T
            window = max(1, len(y) // 100)
            axes[0].plot(x[: len(y) // window * window : window], _means(y, window), label=term)
    axes[0].set(yscale="log", title="loss terms", xlabel="step")
    axes[0].legend()
    for axis, name in zip(axes[1:], ("psnr_db", "de_itp"), strict=True):
        groups = validations[-1]["validation"] if validations else {}
        for group in groups:
            points = [(r["step"], r["validation"].get(group, {}).get(name)) for r in validations]
            points = [p for p in points if p[1] is not None]
            if points:
                axis.plot(*np.array(points).T, marker=".", label=group)
        axis.set(title=name, xlabel="step")
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(picture, dpi=80)
    plt.close(figure)


def _means(values: Any, window: int) -> Any:
    return values[: len(values) // window * window].reshape(-1, window).mean(axis=1)

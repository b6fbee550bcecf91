"""What the paper's tables say, and the tables of a comparison beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import msgspec

from vsdslnet.training.paper.variants import VARIANTS

__all__ = ["PAPER", "Figures", "PaperRow", "as_markdown", "plot_figures"]


class PaperRow(NamedTuple):
    """PSNR (dB), SR-SIM and dE_ITP as printed."""

    psnr_db: float
    sr_sim: float
    delta_e_itp: float


PAPER: dict[str, PaperRow] = {
    "dslnet": PaperRow(35.28, 0.9951, 11.13),
    "resnet": PaperRow(33.62, 0.9913, 12.72),
    "csrnet": PaperRow(34.53, 0.9946, 13.23),
    "lut3d": PaperRow(26.15, 0.9846, 37.99),
    "adaint": PaperRow(30.99, 0.9931, 22.33),
    "sr-itm": PaperRow(33.99, 0.9893, 12.85),
    "hdrtvnet": PaperRow(34.66, 0.9938, 12.38),
    "m0": PaperRow(33.80, 0.9913, 13.07),
    "m1": PaperRow(34.86, 0.9943, 12.65),
    "m2": PaperRow(34.99, 0.9940, 12.58),
    "m3": PaperRow(35.01, 0.9943, 12.39),
    "m4": PaperRow(35.04, 0.9944, 12.67),
    "m5": PaperRow(35.07, 0.9945, 12.44),
    "m6": PaperRow(35.13, 0.9948, 11.71),
    "mresnet": PaperRow(33.89, 0.9906, 12.31),
    "no-align": PaperRow(34.28, 0.9935, 14.24),
    "no-modulation": PaperRow(33.36, 0.9925, 14.04),
}
"""Tables 1 to 5."""

_TITLES = {
    "1": "Table 1: baselines",
    "2": "Table 2: modules, one after the other (DSLNet is M7)",
    "3": "Table 3: multi-frame ResNet",
    "4": "Table 4: without alignment",
    "5": "Table 5: without modulation",
    "reading": "Our reading against the paper's letter",
}


class Figures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trained network, measured: means over the validation windows, ``windows`` of each group.

    ``group_psnr_db`` is PSNR by the validation's groups.
    """

    variant: str
    seed: int
    steps: int
    parameters: int
    windows: int
    psnr_db: float
    sr_sim: float
    delta_e_itp: float
    group_psnr_db: dict[str, float] = {}


def as_markdown(
    figures: Sequence[Figures], *, seconds: Mapping[str, float], note: str, base: Mapping[str, float]
) -> str:
    """The tables that the measured variants belong to, the paper's figures beside ours; DSLNet ends each.

    ``seconds`` is what a frame costs each variant, by name, in seconds of one core; ``base`` is what the base alone has
    in each of the validation's groups, PSNR in dB. Of several groups there is a table by group as well.
    """
    by_name: dict[str, list[Figures]] = {}
    for row in figures:
        by_name.setdefault(row.variant, []).append(row)
    lines = [note, ""]
    for table, title in _TITLES.items():
        names = [name for name in by_name if VARIANTS[name].table == table]
        if not names:
            continue
        lines += [f"## {title}", "", *_HEAD]
        ordered = sorted(names, key=list(VARIANTS).index)
        lines += [
            _line(name, by_name[name], seconds) for name in [*ordered, *(["dslnet"] if "dslnet" in by_name else [])]
        ]
        lines.append("")
    if set(by_name) == {"dslnet"}:
        lines += [*_HEAD, _line("dslnet", by_name["dslnet"], seconds), ""]
    return "\n".join([*lines, *_by_group(by_name, base)])


_HEAD = (
    "| network | parameters (paper) | seeds | PSNR dB (paper) | SR-SIM (paper) | dE_ITP (paper) | core s a frame |",
    "|---|---|---|---|---|---|---|",
)


def _line(name: str, rows: Sequence[Figures], seconds: Mapping[str, float]) -> str:
    variant, paper = VARIANTS[name], PAPER.get(name)
    stated = "" if variant.paper_parameters is None else f" ({variant.paper_parameters / 1e6:g}M)"
    cells = [
        f"{name}: {variant.what}",
        f"{rows[0].parameters:,}{stated}",
        str(len(rows)),
        _cell([row.psnr_db for row in rows], ".2f", paper and paper.psnr_db),
        _cell([row.sr_sim for row in rows], ".4f", paper and paper.sr_sim),
        _cell([row.delta_e_itp for row in rows], ".2f", paper and paper.delta_e_itp),
        f"{seconds[name]:.2f}" if name in seconds else "",
    ]
    return f"| {' | '.join(cells)} |"


def _by_group(by_name: Mapping[str, Sequence[Figures]], base: Mapping[str, float]) -> list[str]:
    """PSNR by group, of all networks; no lines where there is one group."""
    if len(base) < 2:
        return []
    head = ["## PSNR by group, dB", "", f"| network | {' | '.join(base)} |", "|---" * (len(base) + 1) + "|"]
    rows = [f"| the base alone | {' | '.join(f'{value:.2f}' for value in base.values())} |"]
    for name in sorted(by_name, key=list(VARIANTS).index):
        measured = [row.group_psnr_db for row in by_name[name] if set(row.group_psnr_db) == set(base)]
        if measured:
            cells = [_cell([row[group] for row in measured], ".2f", None) for group in base]
            rows.append(f"| {name} | {' | '.join(cells)} |")
    return [*head, *rows, ""]


def _cell(values: Sequence[float], form: str, paper: float | None) -> str:
    spread = f" ± {stdev(values):{form}}" if len(values) > 1 else ""
    beside = "" if paper is None else f" ({paper:{form}})"
    return f"{mean(values):{form}}{spread}{beside}"


def plot_figures(figures: Sequence[Figures], picture: Path) -> None:
    """Draw every run's PSNR beside the paper's into a PNG: one line a network, a dot a seed, a bar their mean."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [name for name in VARIANTS if any(row.variant == name for row in figures)]
    drawing, (ours, theirs) = plt.subplots(1, 2, sharey=True, figsize=(9, 1.2 + 0.27 * len(names)))
    for line, name in enumerate(names):
        values = [row.psnr_db for row in figures if row.variant == name]
        color = "tab:red" if name == "dslnet" else "tab:blue"
        ours.plot(values, [line] * len(values), "o", color=color, alpha=0.5)
        ours.plot(mean(values), line, "|", color=color, markersize=14, markeredgewidth=2)
        if name in PAPER:
            theirs.plot(PAPER[name].psnr_db, line, "|", color=color, markersize=14, markeredgewidth=2)
    ours.set(xlabel="PSNR, dB (PQ), ours", yticks=range(len(names)), yticklabels=names)
    theirs.set(xlabel="PSNR, dB, the paper's own data and schedule")
    ours.invert_yaxis()
    for axis in (ours, theirs):
        axis.grid(alpha=0.3)
    drawing.tight_layout()
    drawing.savefig(picture, dpi=100)
    plt.close(drawing)

"""Evaluation results as Markdown and JSON: one table a group, never averaged into one number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vsdslnet.training.evaluation.formulas import FORMULAS
from vsdslnet.training.evaluation.groups import CENTRE, OURS, Group
from vsdslnet.training.evaluation.metrics import FIDELITY, mean_by_name

__all__ = ["as_json", "as_markdown", "lead_over_formulas", "multi_frame_gain_db"]

_DIGITS = {"psnr_db": 2, "sr_sim": 4, "delta_e_itp": 2, "outside_bt709": 4, "reference_outside_bt709": 4}


def as_markdown(groups: Sequence[Group], checks: Mapping[str, Mapping[str, Mapping[str, float]]], *, title: str) -> str:
    """Title, a table a group, then the self-checks (method -> check -> measures) side by side."""
    parts = [f"# {title}\n"]
    parts += [_group_table(group) for group in groups]
    if checks:
        parts.append(_check_table(checks))
    return "\n".join(parts)


def as_json(
    groups: Sequence[Group], checks: Mapping[str, Mapping[str, Mapping[str, float]]], **facts: object
) -> dict[str, object]:
    """Everything measured, down to the single picture, plus ``facts``; NaN and inf become null."""
    table = {
        group.name: {
            "pictures": group.pictures,
            "mean": {method: mean_by_name(rows) for method, rows in group.rows.items()},
            "each": group.rows,
            "lead": lead_over_formulas(group),
            "multi_frame_gain_db": multi_frame_gain_db(group),
        }
        for group in groups
    }
    found = _plain({**facts, "groups": table, "self_checks": checks})
    assert isinstance(found, dict)
    return found


def lead_over_formulas(group: Group) -> dict[str, float]:
    """How far the network is ahead of the best formula, each measure against its own best one."""
    means = {method: mean_by_name(rows) for method, rows in group.rows.items()}
    baselines = [means[name] for name in FORMULAS if name in means]
    return {
        "psnr_db": means[OURS]["psnr_db"] - max(row["psnr_db"] for row in baselines),
        "delta_e_itp": min(row["delta_e_itp"] for row in baselines) - means[OURS]["delta_e_itp"],
    }


def multi_frame_gain_db(group: Group) -> float | None:
    """PSNR of the window over that of its centre frame repeated; None for still material."""
    if CENTRE not in group.rows:
        return None
    return mean_by_name(group.rows[OURS])["psnr_db"] - mean_by_name(group.rows[CENTRE])["psnr_db"]


def _group_table(group: Group) -> str:
    lines = [
        f"## {group.name} ({len(group.pictures)} pictures)\n",
        "| method | " + " | ".join(FIDELITY.values()) + " |",
        "|---" * (1 + len(FIDELITY)) + "|",
    ]
    for method, rows in group.rows.items():
        mean = mean_by_name(rows)
        lines.append(f"| {method} | " + " | ".join(_figure(name, mean[name]) for name in FIDELITY) + " |")
    lead = lead_over_formulas(group)
    lines.append(f"\nLead over the best formula: {lead['psnr_db']:+.2f} dB, {lead['delta_e_itp']:+.2f} dE_ITP.")
    gain = multi_frame_gain_db(group)
    if gain is not None:
        lines.append(f"Gain of the window over its centre frame repeated: {gain:+.3f} dB.")
    return "\n".join(lines) + "\n"


def _check_table(checks: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    methods = list(checks)
    lines = [
        "## Synthetic pictures, no reference\n",
        "| check | measure | " + " | ".join(methods) + " |",
        "|---" * (2 + len(methods)) + "|",
    ]
    for check, measures in checks[methods[0]].items():
        for name in measures:
            figures = " | ".join(f"{checks[method][check][name]:.3f}" for method in methods)
            lines.append(f"| {check} | {name} | {figures} |")
    return "\n".join(lines) + "\n"


def _figure(name: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    sign = "+" if name in ("exposure_stops", "highlight_shift_stops") else ""
    return f"{value:{sign}.{_DIGITS.get(name, 3)}f}"


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value

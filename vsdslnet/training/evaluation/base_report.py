"""The measured base as a table and a figure: levels by source, the curve, and how far it moves without each source."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from vsdslnet.color.measured import MEASURED, ToneCurve, curve_nits
from vsdslnet.color.sdr_to_hdr import bt2446a_nits
from vsdslnet.training.pointwise.base_curve import ELSEWHERE_NITS, LEVELS, Levels, fit_curve, mean_levels, source_levels

__all__ = ["base_as_markdown", "base_figure"]


def base_as_markdown(sources: Mapping[str, Sequence[Levels]]) -> str:
    """Light in cd/m² at every level: each source, those elsewhere, their mean, the fit, the curve in use, BT.2446-A."""
    mean, error_stops = mean_levels(sources)
    fitted = fit_curve(sources)
    without = [fit_curve({name: found for name, found in sources.items() if name != left}) for left in sources]
    spread = np.array([np.log2(_nits(curve) / _nits(fitted)) for curve in without])
    own = {name: 2 ** source_levels(found) for name, found in sources.items()}
    lines = ["| | " + " | ".join(str(level) for level in LEVELS) + " |", "|---" * (1 + len(LEVELS)) + "|"]
    lines += [_line(f"{name} ({len(sources[name])})", nits) for name, nits in own.items()]
    lines.append(_line("19 pairs elsewhere", np.array(ELSEWHERE_NITS)))
    lines.append(_line("**mean of sources**", mean))
    lines.append(_line("its standard error, stops", error_stops, digits=2))
    lines.append(_line("fitted now", _nits(fitted)))
    lines.append(_line("most it moves without one source, stops", np.abs(spread).max(axis=0), digits=2))
    lines.append(_line("**in use**", _nits(MEASURED)))
    lines.append(_line("BT.2446-A", _bt2446a(np.array(LEVELS) / 255)))
    fit = ", ".join(f"{name}={value:.4g}" for name, value in fitted._asdict().items())
    return "\n".join(lines) + f"\n\nFitted: {fit}\n"


def base_figure(sources: Mapping[str, Sequence[Levels]]) -> bytes:
    """A PNG: the curve in use, BT.2446-A's, and every picture's levels."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    codes = np.linspace(1, 255, 255)
    figure, axes = plt.subplots(figsize=(7, 4.5), dpi=110)
    for colour, (name, found) in enumerate(sources.items()):
        for k, levels in enumerate(found):
            axes.plot(LEVELS, levels, ".", ms=4, alpha=0.6, color=f"C{colour}", label=None if k else name)
    axes.plot(LEVELS, np.minimum(ELSEWHERE_NITS, 1000), "k+", ms=8, label="19 pairs elsewhere (means)")
    axes.plot(codes, _bt2446a(codes / 255), "--", color="0.5", label="BT.2446-A")
    axes.plot(codes, _curve(MEASURED, codes / 255), "k-", lw=2, label="measured base")
    axes.set(yscale="log", ylim=(0.5, 1200), xlim=(8, 255), xlabel="SDR level (8-bit code of grey)", ylabel="cd/m²")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.tight_layout()
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    plt.close(figure)
    return drawn.getvalue()


def _nits(curve: ToneCurve) -> Levels:
    return _curve(curve, np.array(LEVELS) / 255)


def _curve(curve: ToneCurve, levels: Levels) -> Levels:
    return np.asarray(curve_nits(torch.from_numpy(levels), curve).numpy())


def _bt2446a(levels: Levels) -> Levels:
    return np.asarray(bt2446a_nits(torch.from_numpy(levels).expand(3, 1, -1))[1, 0].numpy())


def _line(name: str, values: Levels, *, digits: int = 3) -> str:
    cells = ("–" if np.isnan(value) else f"{value:.{digits}g}" for value in values)
    return f"| {name} | " + " | ".join(cells) + " |"

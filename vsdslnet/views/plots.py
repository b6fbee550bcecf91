"""Plots of one HDR frame's light and colour, drawn with matplotlib into 8-bit pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import CHROMATICITIES, D65_XY, apply_matrix, rgb_to_xyz
from vsdslnet.color.transfer import nits_to_pq, pq_scalar, pq_to_nits
from vsdslnet.errors import ArgumentError, MissingPackageError
from vsdslnet.views.pixels import BANDS, Picture, false_colour_nits, luminance_nits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "difference_with_scale",
    "false_colour_with_legend",
    "gamut_plot",
    "histogram_nits",
    "light_over_time",
    "versions_over_time",
    "waveform_nits",
]

_TICKS_NITS = (0.1, 1, 10, 26, 100, 203, 400, 1000, 4000, 10000)
_LANDMARKS_NITS = (100.0, 203.0, 1000.0)
_DPI = 100
_LEFT_PX, _RIGHT_PX, _BOTTOM_PX, _TOP_PX = 80, 30, 55, 35
_MIN_SIDE_PX = 200
_GAMUTS = {"BT.709": Primaries.BT709, "P3-D65": Primaries.ST432_1, "BT.2020": Primaries.BT2020}
_BINS = 256
_GAMUT_FLOOR_NITS = 1.0


def waveform_nits(pq: Tensor, *, width: int = 960, height: int = 480) -> Picture:
    """Waveform monitor: each column's luminance of a PQ frame (3, H, W) on a PQ axis labelled in nits."""
    figure, axes = _figure(width, height)
    # One level a pixel of the plot, so that a flat field's thin line is neither blurred nor skipped.
    shares = _column_shares(luminance_nits(pq), levels=height - _TOP_PX - _BOTTOM_PX)
    shown = (shares / shares.max()) ** 0.35
    axes.imshow(
        shown,
        origin="lower",
        aspect="auto",
        cmap="viridis",
        extent=(0, 1, 0, 1),
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    _nits_axis(axes, "y")
    axes.set_xticks([])
    axes.set_xlabel("across the picture")
    axes.set_title("Waveform of luminance")
    return _draw(figure)


def histogram_nits(pq: Tensor, *, width: int = 960, height: int = 360) -> Picture:
    """Share of pixels by luminance of a PQ frame (3, H, W), PQ axis labelled in nits, log counts."""
    signal = _pq_of(luminance_nits(pq))
    shares, edges = np.histogram(signal, bins=_BINS, range=(0, 1))
    figure, axes = _figure(width, height)
    axes.fill_between(edges[:-1], shares / signal.size, step="post", color="#4a7fb5")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5 / signal.size, top=1)
    axes.set_ylabel("share of pixels")
    _nits_axis(axes, "x")
    axes.set_title("Histogram of luminance")
    return _draw(figure)


def gamut_plot(pq: Tensor, *, side: int = 640) -> Picture:
    """Colours of a PQ frame (3, H, W) in CIE 1976 u'v' against the triangles of BT.709, P3 and BT.2020.

    Pixels darker than 1 cd/m² are left out: their chromaticity is rounding.
    """
    nits = pq_to_nits(pq.double())
    x, y, z = (plane.reshape(-1).numpy() for plane in apply_matrix(rgb_to_xyz(Primaries.BT2020), nits))
    bright = y > _GAMUT_FLOOR_NITS
    total = (x + 15 * y + 3 * z)[bright]
    u, v = 4 * x[bright] / total, 9 * y[bright] / total
    figure, axes = _figure(side, side)
    density, _, _ = np.histogram2d(v, u, bins=_BINS, range=((0, 0.62), (0, 0.62)))
    if density.max() > 0:
        shown = np.ma.masked_equal((density / density.max()) ** 0.25, 0)
        axes.imshow(shown, origin="lower", extent=(0, 0.62, 0, 0.62), cmap="magma", vmin=0, vmax=1)
    for (name, primaries), colour in zip(_GAMUTS.items(), ("#2c7fb8", "#31a354", "#d95f0e"), strict=True):
        corners = [_uv(*xy) for xy in CHROMATICITIES[primaries]]
        outline = np.array([*corners, corners[0]])
        axes.plot(outline[:, 0], outline[:, 1], color=colour, label=name)
    axes.plot(*_uv(*D65_XY), "k+", label="D65")
    axes.set(xlim=(0, 0.62), ylim=(0, 0.62), xlabel="u'", ylabel="v'", title="Gamut, CIE 1976 u'v'")
    axes.set_aspect("equal")
    axes.legend(loc="lower right")
    return _draw(figure)


def false_colour_with_legend(pq: Tensor, *, width: int = 960) -> Picture:
    """:func:`~vsdslnet.views.pixels.false_colour_nits` of a PQ frame with a legend of its bands beside it."""
    from_left = 0.78
    rows, columns = pq.shape[-2:]
    height = max(round(width * from_left * rows / columns), 300)
    figure, axes = _figure(width, height)
    axes.set_position((0.0, 0.0, from_left, 1.0))
    axes.set_axis_off()
    axes.imshow(false_colour_nits(pq), interpolation="nearest")
    legend = figure.add_axes((from_left + 0.01, 0.02, 0.21, 0.96))
    legend.set_axis_off()
    legend.set(xlim=(0, 1), ylim=(0, len(BANDS)))
    for row, band in enumerate(BANDS):
        colour = tuple(channel / 255 for channel in band.colour)
        legend.add_patch(_rectangle(row, colour))
        legend.text(0.2, row + 0.45, f"{band.nits:g}+  {band.name}", va="center", fontsize=8)
    return _draw(figure)


def light_over_time(
    seconds: Sequence[float],
    max_nits: Sequence[float],
    average_nits: Sequence[float],
    *,
    cuts_seconds: Sequence[float] = (),
    width: int = 960,
    height: int = 320,
) -> Picture:
    """Each frame's brightest and average light (MaxCLL's and MaxFALL's measures) over time, cuts marked."""
    figure, axes = _figure(width, height)
    for values, name, colour in (
        (max_nits, "brightest", "#d95f0e"),
        (average_nits, "frame average", "#2c7fb8"),
    ):
        signal = [pq_scalar(value) for value in values]
        axes.plot(seconds, signal, label=name, color=colour)
    _over_time(axes, cuts_seconds)
    axes.set_title("Light over time")
    axes.legend(loc="lower right")
    return _draw(figure)


def versions_over_time(
    seconds: Sequence[float],
    average_nits: Mapping[str, Sequence[float]],
    *,
    cuts_seconds: Sequence[float] = (),
    width: int = 960,
    height: int = 320,
) -> Picture:
    """Each version's frame average (MaxFALL's measure) over time, cuts marked."""
    figure, axes = _figure(width, height)
    for name, values in average_nits.items():
        axes.plot(seconds, [pq_scalar(value) for value in values], label=name)
    _over_time(axes, cuts_seconds)
    axes.set_title("Frame average over time")
    axes.legend(loc="lower right")
    return _draw(figure)


def difference_with_scale(delta_e: Tensor, *, top: float, width: int = 960) -> Picture:
    """A map (H, W) of dE_ITP (BT.2124), black where there is none, with its scale from 0 to ``top`` beside it."""
    from_left = 0.88
    rows, columns = delta_e.shape
    figure, axes = _figure(width, max(round(width * from_left * rows / columns), _MIN_SIDE_PX))
    axes.set_position((0.0, 0.0, from_left, 1.0))
    axes.set_axis_off()
    image = axes.imshow(delta_e.cpu().numpy(), cmap="inferno", vmin=0, vmax=top, interpolation="nearest")
    scale = figure.add_axes((from_left + 0.02, 0.06, 0.03, 0.88))
    figure.colorbar(image, cax=scale, extend="max")
    return _draw(figure)


def _column_shares(light_nits: Tensor, *, levels: int) -> NDArray[np.float64]:
    """Share of each of ``levels`` PQ levels (rows, dark first) in each of up to 512 groups of columns."""
    signal = _pq_of(light_nits)
    columns = signal.shape[1]
    groups = min(columns, 512)
    which = np.broadcast_to(np.arange(columns) * groups // columns, signal.shape)
    counts, _, _ = np.histogram2d(
        signal.ravel(), which.ravel(), bins=(levels, groups), range=((0, 1), (-0.5, groups - 0.5))
    )
    shares: NDArray[np.float64] = counts / counts.sum(axis=0)
    return shares


def _pq_of(light_nits: Tensor) -> NDArray[np.float64]:
    signal: NDArray[np.float64] = nits_to_pq(light_nits.double()).cpu().numpy()
    return signal


def _uv(x: float, y: float) -> tuple[float, float]:
    """CIE 1931 x, y -> CIE 1976 u', v' (CIE 15)."""
    scale = -2 * x + 12 * y + 3
    return 4 * x / scale, 9 * y / scale


def _over_time(axes: Axes, cuts_seconds: Sequence[float]) -> None:
    for cut in cuts_seconds:
        axes.axvline(cut, color="0.7", linewidth=0.8, zorder=0)
    _nits_axis(axes, "y")
    axes.set_xlabel("seconds")


def _nits_axis(axes: Axes, which: str) -> None:
    places = [pq_scalar(nits) for nits in _TICKS_NITS]
    labels = [f"{nits:g}" for nits in _TICKS_NITS]
    if which == "y":
        axes.set_yticks(places, labels)
        axes.set_ylim(0, 1)
        axes.set_ylabel("nits")
    else:
        axes.set_xticks(places, labels)
        axes.set_xlim(0, 1)
        axes.set_xlabel("nits")
    line = axes.axhline if which == "y" else axes.axvline
    for nits in _LANDMARKS_NITS:
        line(pq_scalar(nits), color="#e06c3a", linewidth=0.8, linestyle="--")


def require_matplotlib() -> None:
    """MissingPackageError where matplotlib can't be imported."""
    try:
        import matplotlib.figure  # noqa: F401 - asked for before the work that ends in a plot
    except ImportError:
        raise MissingPackageError("a plot", "matplotlib", "pip install matplotlib") from None


def _rectangle(row: int, colour: tuple[float, ...]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((0, row + 0.05), 0.16, 0.85, facecolor=colour, edgecolor="0.5", linewidth=0.5)


def _figure(width: int, height: int) -> tuple[Figure, Axes]:
    """A figure of this many pixels, drawn by Agg without touching pyplot's global state."""
    if min(width, height) < _MIN_SIDE_PX:
        raise ArgumentError("size", (width, height), f"a plot of at least {_MIN_SIDE_PX} pixels each way")
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout=None)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    figure.subplots_adjust(
        left=_LEFT_PX / width,
        right=1 - _RIGHT_PX / width,
        bottom=_BOTTOM_PX / height,
        top=1 - _TOP_PX / height,
    )
    return figure, axes


def _draw(figure: Figure) -> Picture:
    canvas: Any = figure.canvas
    canvas.draw()
    picture: Picture = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return picture

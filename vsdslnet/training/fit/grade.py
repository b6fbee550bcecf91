"""What a grade is like, from examples: the light of every grey level and a saturation, no more than examples agree on.

Each example says how many stops its master lies over the base at each light that the base gives, its gain following the
neighbourhood as under the networks: that is the picture a look is applied to. The examples' mean is smoothed along the
levels and shrunk by how little they say and agree (a ridge, the posterior mean under normal priors); how much of it
is believed in the end is decided by leaving each example out. A grade that was made picture by picture stays near the
base so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.color.ictcp import nits_to_ictcp
from vsdslnet.color.measured import MEASURED_PEAK_NITS, curve_nits
from vsdslnet.color.primaries import luminance_of
from vsdslnet.color.transfer import (
    nits_to_pq,
    pq_scalar,
    pq_to_nits,
)
from vsdslnet.inference.look import regrade
from vsdslnet.looks import NODES, Look
from vsdslnet.training.evaluation.formulas import neighbourhood_base_nits
from vsdslnet.training.evaluation.metrics import clip_pq, delta_e_mean, exposure_shift_stops, psnr_db
from vsdslnet.training.fit.examples import Example, check

__all__ = ["Fitted", "Measures", "base_nodes_pq", "fit_look", "report"]

Floats = NDArray[np.float64]

_BELIEFS = (1.0, 0.85, 0.6, 0.35, 0.15, 0.0)
_GRADES_STOPS = 0.9
"""How far grades lie from the base, standard deviation: what a priori is likely."""
_PICTURES_STOPS = 0.5
"""How far pictures of one source lie from each other: the real pairs' own, counted as one example."""
_BEND_STOPS = 0.12
"""How far a level may lie from the middle of its neighbours."""
_USUAL_SPREAD_DB = 4.0
"""How far a whole look's gains on pictures of one source lie apart, standard deviation: counted as one example more,
since few may agree by chance."""
_SURE = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81, 1.80, 1.78, 1.77, 1.76, 1.75)
"""Student's t that one in twenty passes by chance, by degrees of freedom from 1 on; further on the last."""
_FULL_WEIGHT_PIXELS = 400
_FEWEST_PIXELS = 24
_MOST_POINTS = 20_000


class Measures(NamedTuple):
    """PSNR in dB (PQ up to 1000 cd/m²), dE_ITP (BT.2124) and exposure shift in stops against the masters."""

    psnr_db: float
    delta_e_itp: float
    exposure_stops: float


class Fitted(NamedTuple):
    """A look, how much of what the examples say it believes, and its figures with each example left out."""

    look: Look
    belief: float
    before: Measures
    after: Measures
    spread_stops: float
    warnings: list[str]


class _Pair(NamedTuple):
    """``ours`` and ``master`` as PQ BT.2020 (3, H, W)."""

    ours: Tensor
    master: Tensor


class _Levels(NamedTuple):
    stops: Floats
    weights: Floats
    chroma: float
    """log of the saturation that is nearest to the master."""


def fit_look(examples: Sequence[Example]) -> Fitted:
    """The look of some examples; MediaError if they can't be what they are said to be.

    With one example there is nothing to leave out: half of what it says is believed, and a warning says so.
    """
    for example in examples:
        check(example)
    pairs = [_Pair(nits_to_pq(neighbourhood_base_nits(example.sdr)), example.pq) for example in examples]
    levels = [_levels_of(pair) for pair in pairs]
    points = [_points(pair, k) for k, pair in enumerate(pairs)]
    before = [_measures(ours, master) for ours, master in points]
    warnings = []
    if len(examples) == 1:
        belief, after = 0.5, before
        warnings.append("one example can't be checked against another: half of what it says is believed")
    else:
        belief, after = _choose_belief(levels, points, before)
    spread = _spread_stops(levels)
    if belief < 1 and len(examples) > 1:
        warnings.append(
            f"the examples don't agree (they lie {spread:.2f} stops apart): {belief:.0%} of their mean is believed"
        )
    look = _look(levels, belief)
    return Fitted(look, belief, _mean(before), _mean(after), spread, warnings)


def report(fitted: Fitted, count: int) -> str:
    """What was reached, for a person, each example judged by the others."""
    rows = [
        f"{name:<8} {m.psnr_db:6.2f} dB  {m.delta_e_itp:5.1f} dE_ITP  {m.exposure_stops:+.2f} stops"
        for name, m in (("before", fitted.before), ("after", fitted.after))
    ]
    held_out = "each left out in turn" if count > 1 else "not held out"
    return "\n".join([f"{count} examples, {held_out}:", *rows, *(f"warning: {text}" for text in fitted.warnings)])


def _levels_of(pair: _Pair) -> _Levels:
    ours, nits = (luminance_of(pq_to_nits(side)).flatten().double().numpy() for side in pair)
    # Light at the cap says only that it was at least that much.
    nits = np.minimum(nits, MEASURED_PEAK_NITS)
    nearest = np.rint(_levels_of_greys(ours) * (NODES - 1)).astype(int)
    stops, weights = np.zeros(NODES), np.zeros(NODES)
    for node in range(1, NODES):
        here = nearest == node
        count = int(here.sum())
        if count >= _FEWEST_PIXELS:
            stops[node] = np.log2(max(np.median(nits[here]), 1e-3) / max(np.median(ours[here]), 1e-3))
            weights[node] = min(1.0, count / _FULL_WEIGHT_PIXELS)
    return _Levels(np.clip(stops, -6, 6), weights, _chroma_of(pair))


def _levels_of_greys(nits: Floats) -> Floats:
    """SDR level 0..1 of the grey that the base gives this light."""
    levels, light = _greys()
    return np.interp(nits, light, levels)


@cache
def _greys() -> tuple[Floats, Floats]:
    levels = torch.linspace(0, 1, 4097, dtype=torch.float64)
    return levels.numpy(), curve_nits(levels).numpy()


def _chroma_of(pair: _Pair) -> float:
    """log of the factor on chroma that brings the base's colours nearest to the master's, at the master's luminance."""
    ours, master = (nits_to_ictcp(pq_to_nits(side).double())[1:] for side in pair)
    strength = ours.square().sum(dim=0)
    coloured = strength > strength.mean() * 0.25
    if not bool(coloured.any()) or float(strength[coloured].sum()) < 1e-6:
        return 0.0
    ratio = float((ours * master).sum(dim=0)[coloured].sum() / strength[coloured].sum())
    return float(np.log(np.clip(ratio, 0.6, 1.6)))


def _look(levels: Sequence[_Levels], belief: float) -> Look:
    stops = belief * _posterior(levels)
    base = base_nodes_pq()
    nits = np.minimum(_nits(base) * 2**stops, MEASURED_PEAK_NITS)
    nodes = nits_to_pq(torch.from_numpy(nits)).numpy()
    # Greys keep their order: by no less than a quarter of the base's own steps, as long as there is room.
    least = 0.25 * np.diff(base, prepend=0)
    for node in range(1, NODES):
        nodes[node] = min(max(nodes[node], nodes[node - 1] + least[node]), pq_scalar(MEASURED_PEAK_NITS))
    nodes[0] = 0.0
    chroma = float(np.mean([found.chroma for found in levels])) * belief * len(levels) / (len(levels) + 1)
    rounded: list[float] = nodes.astype(np.float32).tolist()
    return Look(tuple(rounded), float(np.exp(chroma)), "measured")


def base_nodes_pq() -> Floats:
    """PQ of the base's own greys at a look's nodes: the look that changes nothing."""
    nits = curve_nits(torch.linspace(0, 1, NODES, dtype=torch.float64))
    return np.asarray(nits_to_pq(nits).numpy())


def _nits(pq: Floats) -> Floats:
    return np.asarray(pq_to_nits(torch.from_numpy(pq)).numpy())


def _posterior(levels: Sequence[_Levels]) -> Floats:
    """Stops over the base at every node: the examples' mean, smooth, and shrunk to 0 where they say little."""
    stops = np.array([found.stops for found in levels])
    weights = np.array([found.weights for found in levels])
    spread = _spread_stops(levels)
    precision = weights.sum(axis=0) / spread**2
    bends = np.diff(np.eye(NODES), n=2, axis=0)
    system = np.diag(precision + 1 / _GRADES_STOPS**2 / NODES) + bends.T @ bends / _BEND_STOPS**2
    return np.asarray(np.linalg.solve(system, (weights * stops).sum(axis=0) / spread**2))


def _spread_stops(levels: Sequence[_Levels]) -> float:
    """How far examples lie from their mean, with one example of the usual spread mixed in."""
    stops = np.array([found.stops for found in levels])
    weights = np.array([found.weights for found in levels])
    total = weights.sum(axis=0).clip(min=1e-9)
    mean = (weights * stops).sum(axis=0) / total
    squares = (weights * (stops - mean) ** 2).sum() / max(weights.sum(), 1e-9) * len(levels)
    return float(np.sqrt((squares + _PICTURES_STOPS**2) / (len(levels) + 1)))


def _points(pair: _Pair, seed: int) -> _Pair:
    """Enough pixels to judge by, as pictures (3, 1, P)."""
    count = pair.ours[0].numel()
    chosen = np.random.default_rng(seed).choice(count, size=min(count, _MOST_POINTS), replace=False)
    ours, master = (side.flatten(1)[:, None, chosen] for side in pair)
    return _Pair(ours, clip_pq(master))


def _choose_belief(
    levels: Sequence[_Levels], points: Sequence[_Pair], before: Sequence[Measures]
) -> tuple[float, list[Measures]]:
    """The share that leaving one out rewards most: by its mean gain, less what so few may show by chance."""
    best, best_score, best_measures = 0.0, 0.0, list(before)
    for belief in _BELIEFS[:-1]:
        found = []
        for k, (ours, master) in enumerate(points):
            look = _look([*levels[:k], *levels[k + 1 :]], belief)
            found.append(_measures(regrade(ours, look), master))
        gains = np.array([a.psnr_db - b.psnr_db for a, b in zip(found, before, strict=True)])
        score = float(gains.mean()) - _chance_db(gains, belief)
        if score > best_score + 1e-6:
            best, best_score, best_measures = belief, score, found
    return best, best_measures


def _chance_db(gains: Floats, belief: float) -> float:
    """How much of a mean gain may be chance: one side of its confidence interval, with the usual spread mixed in."""
    count = len(gains)
    squares = np.square(gains - gains.mean()).sum() + (_USUAL_SPREAD_DB * belief) ** 2
    return float(_SURE[min(count, len(_SURE)) - 1] * np.sqrt(squares / count / count))


def _measures(output: Tensor, master: Tensor) -> Measures:
    output = clip_pq(output)
    return Measures(psnr_db(output, master), delta_e_mean(output, master), exposure_shift_stops(output, master))


def _mean(rows: Sequence[Measures]) -> Measures:
    return Measures(*(float(np.nanmean(column)) for column in zip(*rows, strict=True)))

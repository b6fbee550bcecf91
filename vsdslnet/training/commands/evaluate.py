"""Measure a model against formulas: real pairs, datasets of windows, synthetic pictures.

    python -m vsdslnet.training evaluate --model dslnet --data DATA --dataset DATASET --out out/evaluation
    python -m vsdslnet.training evaluate points --model dslnet --dataset DATASET --dataset ANOTHER
    python -m vsdslnet.training evaluate noise --model dslnet --dataset DATASET
    python -m vsdslnet.training evaluate real --model dslnet --data DATA
    python -m vsdslnet.training evaluate base --data DATA

Writes ``report.md``, ``report.json`` and contact sheets into ``--out``; DATA and DATASET as made by
``python -m vsdslnet.training build``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import torch
from cyclopts import App, Parameter
from torch import Tensor

from vsdslnet import weights
from vsdslnet.errors import DslnetError
from vsdslnet.inference.converter import Converter
from vsdslnet.options import ConvertOptions
from vsdslnet.training.evaluation import groups as evaluation
from vsdslnet.training.evaluation.base_report import base_as_markdown, base_figure
from vsdslnet.training.evaluation.formulas import FORMULAS
from vsdslnet.training.evaluation.noise import evaluate_noise, noise_as_markdown
from vsdslnet.training.evaluation.pictures import ContactSheets
from vsdslnet.training.evaluation.points import evaluate_points, points_as_markdown
from vsdslnet.training.evaluation.real_pairs import evaluate_real_pairs, find_real_pairs, real_pairs_as_markdown
from vsdslnet.training.evaluation.report import as_json, as_markdown
from vsdslnet.training.pointwise.base_curve import Levels, levels_of

app = App(name="python -m vsdslnet.training evaluate", help=__doc__)


@app.default
def evaluate(
    *,
    model: str = "dslnet",
    data: Path | None = None,
    dataset: Annotated[list[Path] | None, Parameter(alias="--pool", consume_multiple=True)] = None,
    out: Path = Path("out/evaluation"),
    max_side: int = 640,
    per_group: int | None = None,
    checks: bool = True,
    quick: bool = False,
    sheets: bool = True,
) -> None:
    """Evaluate one model.

    Parameters
    ----------
    model
        A model's name or the path of a .safetensors file.
    data
        Folder with ``pairs/``; real pairs are measured when it is given.
    dataset
        Folders of finished datasets.
    out
        Where the report and the pictures go.
    max_side
        Pairs are area-averaged to this many pixels; 0 keeps them as they are.
    per_group
        At most so many windows of each dataset group.
    checks
        Run the synthetic pictures.
    quick
        Leave out the longest of them.
    sheets
        Draw contact sheets.
    """
    started = time.monotonic()
    file = weights.read(weights.find(model))
    converter = Converter.load(ConvertOptions(model=model))
    radius = converter.radius_frames

    def convert(window: Tensor) -> Tensor:
        return converter(window).pq

    drawn = ContactSheets() if sheets else None
    groups: list[evaluation.Group] = []
    if data is not None:
        pairs = evaluation.load_pairs(data, max_side_px=max_side or None)
        groups += evaluation.evaluate_pairs(pairs, convert, radius, on_picture=drawn)
    if dataset:
        from vsdslnet.training.dataset.store import WindowDataset

        network = weights.load_network(file).to(memory_format=torch.channels_last)
        for folder in dataset:
            groups += evaluation.evaluate_dataset(WindowDataset(folder), network, per_group=per_group, on_picture=drawn)
    checked: dict[str, Mapping[str, Mapping[str, float]]] = {}
    if checks:
        formula = FORMULAS["measured base"]
        checked["DSLNet"] = evaluation.run_self_checks(convert, radius, quick=quick)
        checked["measured base"] = evaluation.run_self_checks(lambda w: formula(w[radius]), radius, quick=quick)
    out.mkdir(parents=True, exist_ok=True)
    title = f"{file.path.name}, sha256 {file.sha256[:12]}"
    markdown = as_markdown(groups, checked, title=title)
    facts = {
        "model": str(file.path),
        "sha256": file.sha256,
        "command": sys.argv,
        "max_side_px": max_side,
        "seconds": round(time.monotonic() - started, 1),
    }
    (out / "report.md").write_text(markdown, encoding="utf-8")
    full = json.dumps(as_json(groups, checked, **facts), indent=1)
    (out / "report.json").write_text(full, encoding="utf-8")
    if drawn is not None:
        drawn.write(out)
    print(markdown)


@app.command
def points(
    *,
    model: str = "dslnet",
    dataset: Annotated[list[Path], Parameter(alias="--pool", consume_multiple=True)],
) -> None:
    """Colours alone, point by point: all windows of several datasets in half a minute.

    Parameters
    ----------
    model
        A model's name or the path of a .safetensors file.
    dataset
        Folders of finished datasets.
    """
    from vsdslnet.training.dataset.store import WindowDataset

    file = weights.read(weights.find(model))
    groups = evaluate_points([WindowDataset(folder) for folder in dataset], weights.load_network(file))
    print(points_as_markdown(groups, title=f"{file.path.name}, sha256 {file.sha256[:12]}"))


@app.command
def noise(
    *, model: str = "dslnet", dataset: Annotated[Path, Parameter(alias="--pool")], per_group: int | None = None
) -> None:
    """What is taken away of noise and compression, and what neighbouring frames have to do with it.

    Parameters
    ----------
    model
        A model's name or the path of a .safetensors file.
    dataset
        Folder of a finished dataset.
    per_group
        At most so many windows of each group.
    """
    from vsdslnet.training.dataset.store import WindowDataset

    file = weights.read(weights.find(model))
    network = weights.load_network(file).to(memory_format=torch.channels_last)
    groups = evaluate_noise(WindowDataset(dataset), network, per_group=per_group)
    print(noise_as_markdown(groups, title=f"{file.path.name}, sha256 {file.sha256[:12]}"))


@app.command
def real(*, model: list[str] | None = None, data: Path, max_side: int = 960, out: Path | None = None) -> None:
    """Real pairs, source by source, beside the formulas and the measured base refitted without each source.

    Parameters
    ----------
    model
        Names of models or paths of .safetensors files; none measures the formulas alone.
    data
        Folder with ``pairs/`` and ``more/pairs/``.
    max_side
        Pictures are area-averaged to this many pixels.
    out
        Where the table goes as well.
    """
    methods = {}
    for name in model or []:
        converter = Converter.load(ConvertOptions(model=name))
        methods[Path(name).stem] = (lambda window, c=converter: c(window).pq, converter.radius_frames)
    pairs = list(find_real_pairs(data, max_side_px=max_side))
    table = real_pairs_as_markdown(pairs, evaluate_real_pairs(pairs, methods), title=f"{len(pairs)} real pairs")
    if out is not None:
        out.write_text(table, encoding="utf-8")
    print(table)


@app.command
def base(*, data: Path, figure: Path | None = None) -> None:
    """Measure the levels of real pairs and fit the measured base to them, with how sure it is.

    Parameters
    ----------
    data
        Folder with ``pairs/`` and ``more/pairs/``.
    figure
        A PNG of the curve beside BT.2446-A's and the pairs' levels.
    """
    sources: dict[str, list[Levels]] = {}
    for pair in find_real_pairs(data, max_side_px=1280):
        sources.setdefault(pair.source, []).append(levels_of(pair.sdr, pair.pq))
    print(base_as_markdown(sources))
    if figure is not None:
        figure.write_bytes(base_figure(sources))


def main(given: Sequence[str] | None = None) -> None:
    """Parse and run."""
    try:
        app(given)
    except DslnetError as error:
        sys.exit(f"evaluate: {error}")

"""Build datasets of five-frame windows from still and HDRI material, or from HDR10 video.

python -m vsdslnet.training build --data DIR --out DATASET --windows 4000 --seed 1 --workers 2
python -m vsdslnet.training build --data DIR --out DATASET --split validation --seed 1
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from vsdslnet.errors import ArgumentError, DslnetError
from vsdslnet.training.config.dataset import DataConfig, for_local, for_restoration, for_tone, load_recipe
from vsdslnet.training.dataset.from_scenes import build_dataset
from vsdslnet.training.dataset.from_video import Film, build_video_dataset

app = App(name="python -m vsdslnet.training build", help=__doc__)

_STAGES: dict[str, Callable[[DataConfig], DataConfig]] = {
    "whole": lambda recipe: recipe,
    "tone": for_tone,
    "restoration": for_restoration,
    "local": for_local,
}


@app.default
def dataset(
    *,
    data: Annotated[Path, Parameter(help="folder with hdri/, pairs/, linear_stills/, originals/, clips/, luts/")],
    out: Annotated[Path, Parameter(help="folder of the dataset; an unfinished one is gone on with")],
    windows: Annotated[int, Parameter(help="training windows; validation sizes are in the recipe")] = 4000,
    split: Annotated[
        Literal["train", "validation"], Parameter(help="validation takes scenes that train leaves out")
    ] = "train",
    seed: Annotated[int, Parameter(help="another seed draws other windows")] = 1,
    workers: Annotated[int, Parameter(help="processes side by side; the bytes are the same")] = 1,
    config: Annotated[Path | None, Parameter(help="recipe (TOML); default: the shipped one")] = None,
    stage: Annotated[
        Literal["whole", "tone", "restoration", "local"],
        Parameter(
            help="what the windows are for. tone: train --tone-dataset, of whose windows only centre frames count, "
            "quick to build; restoration: more degradation; local: more degradation, larger crops"
        ),
    ] = "whole",
) -> None:
    """Simulate windows of shots; the same arguments give the same bytes, whatever the number of workers."""
    recipe = _STAGES[stage](load_recipe(config))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(f"{split} windows", total=None)
        manifest = build_dataset(
            recipe,
            data=data,
            out=out,
            windows=windows,
            seed=seed,
            split=split,
            workers=workers,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print(f"{manifest['windows']} windows in {out}, sha256 {manifest['sha256']}")


@app.command
def video(
    *,
    hdr: Annotated[list[Path], Parameter(help="HDR10 (or HLG) films", consume_multiple=True)],
    out: Annotated[Path, Parameter(help="folder: train/ (a dataset), test/ (full frames), manifest.json")],
    sdr: Annotated[
        list[str] | None, Parameter(help="their SDR versions in order; - simulates", consume_multiple=True)
    ] = None,
    test: Annotated[list[str] | None, Parameter(help="names of films kept for testing", consume_multiple=True)] = None,
    scenes: Annotated[int, Parameter(help="at most this many scenes a film")] = 200,
    crops: Annotated[int, Parameter(help="training crops a scene")] = 4,
    seed: int = 1,
    config: Annotated[Path | None, Parameter(help="recipe (TOML); default: the shipped one")] = None,
) -> None:
    """Pairs from films: aligned, split into scenes, ten frames a scene, train and test by film."""
    versions = sdr or ["-"] * len(hdr)
    if len(versions) != len(hdr):
        raise ArgumentError("sdr", versions, f"{len(hdr)} files, one for each HDR film", "write - for those without")
    held_out = set(test or [])
    unknown = sorted(held_out - {path.stem for path in hdr})
    if unknown:
        raise ArgumentError("test", unknown, f"names among {', '.join(path.stem for path in hdr)}")
    films = [
        Film(hdr=path, sdr=None if version == "-" else Path(version), test=path.stem in held_out)
        for path, version in zip(hdr, versions, strict=True)
    ]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        manifest = build_video_dataset(
            load_recipe(config),
            films=films,
            out=out,
            seed=seed,
            scenes_per_film=scenes,
            crops_per_scene=crops,
            on_progress=show,
        )
    for name, film in manifest["films"].items():
        print(f"{name}: {film['split']}, {len(film['firsts'])} scenes, SDR {film['offset_frames']:+d} frames")


def main(given: Sequence[str] | None = None) -> None:
    """Parse and run."""
    try:
        app(given)
    except DslnetError as error:
        sys.exit(f"build: {error}")

"""Build data sets: pools of five-frame windows from still and HDRI material, or from HDR10 video.

python scripts/build_dataset.py --data DIR --out POOL --windows 4000 --seed 1 --workers 2
python scripts/build_dataset.py --data DIR --out POOL --split validation --seed 1
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vsdslnet.errors import DslnetError
from vsdslnet.training.data_config import load_recipe
from vsdslnet.training.pool import build_pool

app = App(help=__doc__)


@app.default
def pool(
    *,
    data: Annotated[Path, Parameter(help="folder with hdri/, pairs/, linear_stills/, originals/, clips/, luts/")],
    out: Annotated[Path, Parameter(help="folder of the pool; an unfinished one is gone on with")],
    windows: Annotated[int, Parameter(help="training windows; validation sizes are in the recipe")] = 4000,
    split: Literal["train", "validation"] = "train",
    seed: int = 1,
    workers: int = 1,
    config: Annotated[Path | None, Parameter(help="recipe (TOML); default: the shipped one")] = None,
) -> None:
    """Simulate windows: the same arguments give the same bytes, whatever the number of workers."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(f"{split} windows", total=None)
        manifest = build_pool(
            load_recipe(config),
            data=data,
            out=out,
            windows=windows,
            seed=seed,
            split=split,
            workers=workers,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    print(f"{manifest['windows']} windows in {out}, sha256 {manifest['sha256']}")


if __name__ == "__main__":
    try:
        app()
    except DslnetError as error:
        sys.exit(f"build_dataset: {error}")

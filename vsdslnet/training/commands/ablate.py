"""The paper's tables: train its variants and baselines alike, measure them alike, write Markdown and a plot.

    python -m vsdslnet.training ablate --list
    python -m vsdslnet.training ablate dslnet m0 m1 --dataset DATASET --validation VALIDATION --out out/tables
    python -m vsdslnet.training ablate all --schedule paper --base none --seeds 1 2 3 ...

Start it again with the same arguments and it goes on where it was; behind ``nohup ... &`` it runs in the
background. The last line is the paper's own schedule (350,000 steps), for a machine that can. What a frame
costs is measured last, into ``seconds.json``; to measure it anew delete that file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from vsdslnet.errors import ArgumentError, DslnetError
from vsdslnet.network.config import Base
from vsdslnet.training.paper.variants import VARIANTS, build_variant, count_parameters


def main(given: Sequence[str] | None = None) -> None:
    """Parse; list, or train and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m vsdslnet.training ablate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("variants", nargs="*", help="names (see --list), or all")
    parser.add_argument("--list", action="store_true", help="print every name with its parameters, and end")
    parser.add_argument("--collect", action="store_true", help="train nothing: tables of what --out holds so far")
    parser.add_argument("--dataset", "--pool", type=Path, help="folder made by build")
    parser.add_argument("--validation", type=Path, help="validation dataset")
    parser.add_argument("--look", help="train and measure only on windows of this SDR look, such as youtube")
    parser.add_argument("--out", type=Path, default=Path("out/tables"), help="folder for runs, tables and plot")
    parser.add_argument(
        "--also", type=Path, nargs="+", default=[], metavar="FIGURES", help="figures.json of rows trained elsewhere"
    )
    parser.add_argument("--schedule", default="tables", help="a schedule's name or a .toml file")
    parser.add_argument("--steps", type=int, help="number of steps, instead of the schedule's; its halvings move along")
    parser.add_argument("--batch", type=int, help="windows a step, instead of the schedule's")
    parser.add_argument("--patch", type=int, help="side of the training crops in pixels, instead of the schedule's")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[1, 2], help="each variant is trained once for each seed"
    )
    parser.add_argument("--windows", type=int, default=40, help="validation windows measured of each group")
    parser.add_argument(
        "--base", choices=get_args(Base), default="bt2446a", help="the formula that all networks correct"
    )
    arguments = parser.parse_args(given)
    try:
        if arguments.list:
            print_list()
        else:
            run(arguments)
    except DslnetError as error:
        raise SystemExit(f"ablate: {error}") from None


def print_list() -> None:
    """Every variant's name, table, parameters, and how far they are from the paper's."""
    for name, variant in VARIANTS.items():
        parameters = count_parameters(build_variant(name))
        paper = variant.paper_parameters
        beside = "" if paper is None else f"paper {paper / 1e6:g}M, {parameters / paper - 1:+.1%}"
        print(f"{name:16} table {variant.table:8} {parameters:>11,}  {variant.what:45} {beside}".rstrip())


def run(arguments: argparse.Namespace) -> None:
    """Train, measure, write ``tables.md``, ``figures.json`` and ``figures.png``."""
    import msgspec

    from vsdslnet.training.config.run import load_schedule
    from vsdslnet.training.dataset.store import WindowDataset
    from vsdslnet.training.paper.comparison import compare, finished, measure_base, scaled_schedule
    from vsdslnet.training.paper.tables import as_markdown, plot_figures

    names = list(VARIANTS) if arguments.variants == ["all"] else arguments.variants
    unknown = [name for name in names if name not in VARIANTS]
    if unknown or not (names or arguments.collect):
        raise ArgumentError("variants", unknown or names, f"names of {', '.join(VARIANTS)}, or all")
    if arguments.validation is None or not (arguments.dataset or arguments.collect):
        raise ArgumentError("--dataset, --validation", None, "two folders made by build")
    config = scaled_schedule(
        load_schedule(arguments.schedule),
        steps=arguments.steps,
        batch=arguments.batch,
        patch_px=arguments.patch,
        base=arguments.base,
    )
    validation = WindowDataset(arguments.validation, look=arguments.look)
    seeds, windows = arguments.seeds, arguments.windows
    if not arguments.collect:
        dataset = WindowDataset(arguments.dataset, look=arguments.look)
        compare(names, config, dataset, validation, arguments.out, seeds=seeds, windows=windows)
    figures = finished(arguments.out, steps=config.steps, windows=windows, also=arguments.also)
    if not figures:
        raise ArgumentError("--out", str(arguments.out), "a folder with rows of this budget", "train some first")
    base, by_group = measure_base(config, validation, windows)
    seconds = time_frames([row.variant for row in figures], arguments.out / "seconds.json")
    note = (
        f"{config.steps} steps of {config.batch} crops of {config.patch_px} px (the paper: 350,000 steps), "
        f"base {arguments.base}, look {arguments.look or 'any'}, "
        f"measured on up to {windows} validation windows a group. "
        f"The base alone: {base['psnr_db']:.2f} dB, SR-SIM {base['sr_sim']:.4f}, dE_ITP {base['delta_e_itp']:.2f}. "
        "Figures in brackets are the paper's, on its own data."
    )
    markdown = as_markdown(figures, seconds=seconds, note=note, base=by_group)
    (arguments.out / "tables.md").write_text(markdown, encoding="utf-8")
    (arguments.out / "figures.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    plot_figures(figures, arguments.out / "figures.png")
    print(markdown)


def time_frames(names: list[str], known: Path) -> dict[str, float]:
    """Core seconds a frame by name: those in the file ``known``, and what is missing there measured and added."""
    import msgspec

    from vsdslnet.training.paper.comparison import frame_seconds

    seconds = msgspec.json.decode(known.read_bytes(), type=dict[str, float]) if known.is_file() else {}
    seconds |= {name: round(frame_seconds(name), 3) for name in dict.fromkeys(names) if name not in seconds}
    known.write_bytes(msgspec.json.format(msgspec.json.encode(seconds)))
    return seconds

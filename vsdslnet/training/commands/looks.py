"""Make the looks that ship: known conversions of HDR to SDR, turned round by the fit that users have.

    python -m vsdslnet.training looks --data DATA --out models/looks

For each look the SDR side of real HDR pictures is made by its conversion; every second picture is fitted to, the others
measure the look, beside what the same pictures have without it. The figures go into the files and to stdout.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.transfer import nits_to_pq, pq_to_nits
from vsdslnet.errors import ArgumentError, DslnetError
from vsdslnet.inference.look import regrade
from vsdslnet.looks import save_look
from vsdslnet.training.config.dataset import DataConfig, load_recipe
from vsdslnet.training.evaluation.formulas import neighbourhood_base_nits
from vsdslnet.training.evaluation.metrics import clip_pq, delta_e_mean, exposure_shift_stops, psnr_db
from vsdslnet.training.fit.examples import Example
from vsdslnet.training.fit.grade import fit_look
from vsdslnet.training.material.png import read_pq_signal
from vsdslnet.training.simulation.sdr_looks import LOOKS
from vsdslnet.training.simulation.table_looks import read_table

__all__ = ["SHIPPED", "main", "masters"]

SHIPPED = {"film": "aces", "broadcast": "broadcast", "youtube": "youtube"}
"""Names of looks, and the conversions (:data:`~vsdslnet.training.simulation.sdr_looks.LOOKS`) they turn round."""

_LONG_SIDE_PX = 480


def main(given: Sequence[str] | None = None) -> None:
    """Fit, measure and write every look."""
    parser = argparse.ArgumentParser(
        prog="python -m vsdslnet.training looks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="material, as build takes it")
    parser.add_argument("--out", type=Path, required=True, help="folder for the .safetensors files")
    arguments = parser.parse_args(given)
    try:
        make_looks(arguments.data, arguments.out)
    except DslnetError as error:
        raise SystemExit(f"looks: {error}") from None


def make_looks(data: Path, out: Path) -> None:
    """Write the looks into ``out`` and print what each gains on pictures it was not fitted to."""
    pictures = masters(data)
    if len(pictures) < 4:
        raise ArgumentError("data", str(data), "at least four HDR pictures in pairs/ and more/hdr_stills/")
    out.mkdir(parents=True, exist_ok=True)
    print("| look | without it | with it |\n|---|---|---|")
    for name, conversion in SHIPPED.items():
        sdr_of = _conversion(conversion, data, load_recipe())
        examples = [Example(label, sdr_of(pq), pq) for label, pq in pictures]
        fitted = fit_look(examples[::2])
        judged = [(nits_to_pq(neighbourhood_base_nits(example.sdr)), example) for example in examples[1::2]]
        without, with_it = (
            _measured([(grade(base), example.pq) for base, example in judged])
            for grade in (lambda pq: pq, lambda pq, look=fitted.look: regrade(pq, look))
        )
        said = f"{conversion}, fitted to {len(examples[::2])} pictures, on {len(judged)} others {without} -> {with_it}"
        save_look(fitted.look, out / f"{name}.safetensors", notes=said)
        print(f"| {name} | {without} | {with_it} |")


def masters(data: Path) -> list[tuple[str, Tensor]]:
    """Names and PQ (3, h, w) of the real HDR pictures below a data folder, by name."""
    folders = [
        *(data / "pairs").glob("*"),
        *(data / "more" / "pairs").glob("*"),
        *(data / "more" / "hdr_stills").glob("*"),
    ]
    found = []
    for folder in sorted(folders, key=lambda path: path.name):
        path = folder / "hdr_pq2020.png"
        if path.is_file():
            pq = torch.from_numpy(np.ascontiguousarray(read_pq_signal(path))).movedim(-1, 0)
            scale = min(1.0, _LONG_SIDE_PX / max(pq.shape))
            size = [round(side * scale) for side in pq.shape[1:]]
            found.append((folder.name, clip_pq(F.interpolate(pq[None], size=size, mode="area")[0])))
    return found


def _conversion(name: str, data: Path, recipe: DataConfig) -> Callable[[Tensor], Tensor]:
    look = LOOKS[name]
    arguments = {}
    if look.lut:
        path = data / str(getattr(recipe, look.lut))
        if not path.is_file():
            raise ArgumentError(look.lut, str(path), "an existing file")
        arguments["lut"] = read_table(path)
    return lambda pq: (255 * look.apply(pq_to_nits(pq)[None], **arguments)[0]).round() / 255


def _measured(pairs: Sequence[tuple[Tensor, Tensor]]) -> str:
    rows = [
        (psnr_db(clip_pq(ours), master), delta_e_mean(clip_pq(ours), master), exposure_shift_stops(ours, master))
        for ours, master in pairs
    ]
    psnr, distance, shift = (float(np.nanmean(column)) for column in zip(*rows, strict=True))
    return f"{psnr:.2f} dB / {distance:.1f} dE_ITP / {shift:+.2f} stops"

"""Contact sheets: what was converted, by what, beside its target, for an SDR screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from vsdslnet.training.evaluation.groups import OURS, Pair
from vsdslnet.training.evaluation.metrics import delta_e_mean, psnr_db
from vsdslnet.views import (
    Picture,
    false_colour_nits,
    picture_png,
    sdr_to_picture,
    tone_map_for_sdr,
    waveform_nits,
)

__all__ = ["ContactSheets", "contact_rows", "label", "stack"]

_BASE = "measured base"
_LABEL_PX = 18
_GAP_PX = 4
_GREY = 40


class ContactSheets:
    """Collects pictures as an evaluation goes and writes one PNG a group.

    Used as ``on_picture`` of :mod:`~vsdslnet.training.evaluation.groups`'s functions; ``per_group`` bounds how
    many pictures a sheet shows, ``cell_px`` how wide each is.
    """

    def __init__(self, *, per_group: int = 6, cell_px: int = 320) -> None:
        self._per_group = per_group
        self._cell_px = cell_px
        self._rows: dict[str, list[Picture]] = {}
        self._seen: dict[str, int] = {}

    def __call__(self, pair: Pair, results: Mapping[str, Tensor]) -> None:
        """Take one picture, if its group's sheet has room."""
        seen = self._seen.get(pair.group, 0)
        self._seen[pair.group] = seen + 1
        if seen < self._per_group:
            self._rows.setdefault(pair.group, []).append(contact_rows(pair, results, cell_px=self._cell_px))

    def write(self, folder: Path) -> list[Path]:
        """Write ``sheet-GROUP.png`` for every group; returns the paths."""
        paths = []
        for group, rows in self._rows.items():
            path = folder / f"sheet-{group}.png"
            path.write_bytes(picture_png(stack(rows, across=False)))
            paths.append(path)
        return paths


def contact_rows(pair: Pair, results: Mapping[str, Tensor], *, cell_px: int = 320) -> Picture:
    """Three rows for one picture: SDR | base | ours | target tone-mapped, in false colour, as waveforms."""
    stages = {_BASE: results[_BASE], OURS: results[OURS], "target": pair.pq}
    names = [pair.name]
    for name, pq in stages.items():
        measured = f"  {psnr_db(pq, pair.pq):.1f} dB  dE {delta_e_mean(pq, pair.pq):.1f}"
        names.append(name if name == "target" else name + measured)
    height = max(1, round(cell_px * pair.sdr.shape[1] / pair.sdr.shape[2]))
    blank = np.full((height, cell_px, 3), _GREY, np.uint8)
    toned = [sdr_to_picture(pair.sdr), *(tone_map_for_sdr(pq) for pq in stages.values())]
    coloured = [false_colour_nits(pq) for pq in stages.values()]
    waves = [waveform_nits(pq, width=cell_px, height=max(height, 200)) for pq in stages.values()]
    rows = [
        stack(
            [label(_fit(cell, cell_px, height), name) for cell, name in zip(toned, names, strict=True)],
            across=True,
        ),
        stack([blank, *(_fit(cell, cell_px, height) for cell in coloured)], across=True),
        stack([np.full_like(waves[0], _GREY), *waves], across=True),
    ]
    return stack(rows, across=False)


def label(picture: Picture, text: str) -> Picture:
    """The picture under a line of text."""
    from PIL import Image, ImageDraw

    bar = Image.new("RGB", (picture.shape[1], _LABEL_PX), (_GREY, _GREY, _GREY))
    ImageDraw.Draw(bar).text((3, 3), text, fill=(235, 235, 235))
    return np.vstack([np.asarray(bar), picture])


def stack(pictures: Sequence[Picture], *, across: bool) -> Picture:
    """Pictures of equal height (width) beside (below) each other with a gap."""
    gap_shape = (pictures[0].shape[0], _GAP_PX, 3) if across else (_GAP_PX, pictures[0].shape[1], 3)
    gap = np.full(gap_shape, _GREY, np.uint8)
    parts: list[Picture] = []
    for picture in pictures:
        parts += [picture, gap]
    return np.concatenate(parts[:-1], axis=1 if across else 0)


def _fit(picture: Picture, width: int, height: int) -> Picture:
    from PIL import Image

    method = Image.Resampling.BOX if width < picture.shape[1] else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize((width, height), method))

"""Contact sheets hold what they should, and no more pictures than they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vsdslnet.training.evaluation.formulas import FORMULAS
from vsdslnet.training.evaluation.groups import OURS, Pair
from vsdslnet.training.evaluation.pictures import ContactSheets, contact_rows, stack

image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


def pair_and_results(group: str = "a") -> tuple[Pair, dict[str, torch.Tensor]]:
    sdr = torch.rand((3, 30, 50), generator=torch.Generator().manual_seed(0))
    results = {name: formula(sdr) for name, formula in FORMULAS.items()}
    results[OURS] = results["BT.2446-A"]
    return Pair(name="one", group=group, sdr=sdr, pq=results["BT.2446-A"] * 0.95), results


def test_sheet_rows_are_four_cells_wide() -> None:
    rows = contact_rows(*pair_and_results(), cell_px=200)
    assert rows.shape[1] == 4 * 200 + 3 * 4
    assert rows.shape[0] == 18 + 120 + 120 + 200 + 2 * 4


def test_one_sheet_a_group_with_at_most_so_many_pictures(tmp_path: Path) -> None:
    sheets = ContactSheets(per_group=2, cell_px=200)
    for group in ("a", "a", "a", "b"):
        sheets(*pair_and_results(group))
    paths = sheets.write(tmp_path)
    assert [path.name for path in paths] == ["sheet-a.png", "sheet-b.png"]
    tall, short = (image.open(path).size for path in paths)
    assert tall == (short[0], 2 * short[1] + 4)


def test_stacking_leaves_pixels_alone() -> None:
    left, right = np.full((5, 3, 3), 10, np.uint8), np.full((5, 4, 3), 90, np.uint8)
    joined = stack([left, right], across=True)
    assert joined.shape == (5, 3 + 4 + 4, 3)
    assert (joined[:, :3] == 10).all() and (joined[:, -4:] == 90).all()

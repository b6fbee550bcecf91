"""Validation on real pairs: every source is judged by what never saw it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vsdslnet.color.measured import MEASURED, expand
from vsdslnet.color.transfer import nits_to_pq
from vsdslnet.training.evaluation.real_pairs import (
    LEFT_OUT,
    LEFT_OUT_NEAR,
    evaluate_real_pairs,
    find_real_pairs,
    real_pairs_as_markdown,
)


def write_pair(folder: Path, *, stops: float, group: str | None = None, seed: int = 0) -> None:
    """A pair whose master is the measured curve, brighter by ``stops`` up to the shoulder."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    sdr = cv2.resize(random.integers(0, 256, (12, 16, 3), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    curve = MEASURED._replace(shadow_stops=MEASURED.shadow_stops + stops)
    pq = nits_to_pq(expand(torch.from_numpy(sdr).movedim(-1, 0).float() / 255, curve)).movedim(0, -1).numpy()
    cv2.imwrite(str(folder / "sdr.png"), sdr[..., ::-1])
    cv2.imwrite(str(folder / "hdr_pq2020.png"), (np.rint(1023 * pq).astype(np.uint16) << 6)[..., ::-1])
    if group:
        (folder / "meta.json").write_text(json.dumps({"group": group}))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_pair(tmp_path / "pairs" / "one_a", stops=0.0)
    write_pair(tmp_path / "pairs" / "one_b", stops=0.0, seed=1)
    write_pair(tmp_path / "more" / "pairs" / "two_a", stops=1.0, group="photo_editor", seed=2)
    return tmp_path


def test_pairs_carry_source_and_kind(data: Path) -> None:
    pairs = list(find_real_pairs(data, max_side_px=960))
    assert [(pair.name, pair.source, pair.kind) for pair in pairs] == [
        ("one_a", "one", "phone"),
        ("one_b", "one", "phone"),
        ("two_a", "two", "photo_editor"),
    ]
    assert pairs[0].sdr.shape == pairs[0].pq.shape == (3, 120, 160)
    assert next(find_real_pairs(data, max_side_px=80)).sdr.shape == (3, 60, 80)


def test_a_source_is_judged_by_a_base_that_never_saw_it(data: Path) -> None:
    pairs = list(find_real_pairs(data, max_side_px=960))
    rows = evaluate_real_pairs(pairs, {"ours": (lambda window: nits_to_pq(expand(window[1])), 1)})
    assert rows["ours"]["one_a"]["psnr_db"] > 60
    assert rows["ours"] == rows["measured base"]
    assert rows[LEFT_OUT_NEAR]["one_a"] != rows[LEFT_OUT]["one_a"]
    # The brighter source pulls the base up for the other, and not for itself.
    shifts = {
        name: rows[LEFT_OUT][name]["exposure_stops"] - rows["ours"][name]["exposure_stops"] for name in rows["ours"]
    }
    assert shifts["one_a"] > shifts["two_a"] + 0.01


def test_the_table_has_means_over_sources(data: Path) -> None:
    pairs = list(find_real_pairs(data, max_side_px=80))
    rows = evaluate_real_pairs(pairs, {})
    table = real_pairs_as_markdown(pairs, rows, title="three")
    base = rows["measured base"]
    of_one = np.mean([base["one_a"]["psnr_db"], base["one_b"]["psnr_db"]])
    column = [*rows].index("measured base")
    means = next(line for line in table.splitlines() if line.startswith("| mean of sources"))
    assert f"| {np.mean([of_one, base['two_a']['psnr_db']]):.2f} / " in means
    worst = next(line for line in table.splitlines() if line.startswith("| worst"))
    assert worst.split("|")[3 + column].strip() == f"{min(of_one, base['two_a']['psnr_db']):.2f}"

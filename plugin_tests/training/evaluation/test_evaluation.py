"""Evaluation from files and datasets to tables, with a small network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vsdslnet.color.measured import measured_pq
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.evaluation import groups as evaluation
from vsdslnet.training.evaluation.groups import CENTRE, OURS, temporal_checks
from vsdslnet.training.evaluation.report import (
    as_json,
    as_markdown,
    lead_over_formulas,
    multi_frame_gain_db,
)

cv2 = pytest.importorskip("cv2")
pytest.importorskip("piq")


@pytest.fixture(scope="module")
def network() -> DSLNet:
    torch.manual_seed(1)
    config = DSLNetConfig(radius=1, features=8, kernel=5, condition_pixels=32 * 32)
    return DSLNet(config).eval()


class SmallDataset:
    """Three windows of two groups in memory, SDR noise differing from frame to frame."""

    groups = {"noisy-moving": [0, 2], "clean": [1]}  # noqa: RUF012

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(index)
        scene = torch.randint(40, 200, (1, 64, 96, 3), generator=generator)
        noise = torch.randint(-6, 7, (5, 64, 96, 3), generator=generator)
        sdr = (scene + noise).to(torch.uint8)
        pq = measured_pq(scene[0].movedim(-1, 0).float() / 255).movedim(0, -1)
        return {
            "sdr": sdr,
            "cond": sdr[:, ::2, ::2],
            "hdr": (pq * 65535).round().to(torch.uint16),
            "crop": torch.tensor([0.1, 0.2, 0.6, 0.9]),
        }


def write_pair(folder: Path, sdr: np.ndarray, codes: np.ndarray) -> None:
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "sdr.png"), sdr[..., ::-1])
    cv2.imwrite(str(folder / "hdr_pq2020.png"), (codes << 6).astype(np.uint16)[..., ::-1])


def test_pairs_are_read_with_their_channels_scale_and_group(tmp_path: Path) -> None:
    sdr = np.zeros((40, 60, 3), np.uint8)
    sdr[..., 0] = 255
    codes = np.zeros((40, 60, 3), np.uint16)
    codes[..., 2] = 700
    write_pair(tmp_path / "pairs" / "pixel_02", sdr, codes)
    write_pair(tmp_path / "pairs" / "another", sdr, codes)
    held_out, other = evaluation.load_pairs(tmp_path, max_side_px=30)
    assert (held_out.group, other.group) == ("phone-heldout", "phone-train")
    assert held_out.sdr.shape == held_out.pq.shape == (3, 20, 30)
    assert held_out.sdr[:, 3, 3].tolist() == [1, 0, 0]
    assert held_out.pq[2].mean().item() == pytest.approx(700 / 1023, abs=1e-6)


def test_pair_of_two_sizes_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path / "x", np.zeros((8, 8, 3), np.uint8), np.zeros((8, 10, 3), np.uint16))
    with pytest.raises(MediaError, match="sizes have to agree"):
        evaluation.load_pair(tmp_path / "x")


def test_untrained_network_is_its_base_to_the_last_digit(network: DSLNet) -> None:
    for group in evaluation.evaluate_dataset(SmallDataset(), network):
        assert group.rows[OURS] == group.rows["measured base"]
        assert multi_frame_gain_db(group) == 0


def test_dataset_groups_stay_apart_and_per_group_spreads(network: DSLNet) -> None:
    groups = evaluation.evaluate_dataset(SmallDataset(), network, per_group=1)
    assert [(group.name, group.pictures) for group in groups] == [
        ("noisy-moving", ["noisy-moving 0"]),
        ("clean", ["clean 1"]),
    ]
    with pytest.raises(ArgumentError, match="per_group=0"):
        evaluation.evaluate_dataset(SmallDataset(), network, per_group=0)


def test_a_network_that_uses_its_neighbours_shows_a_gain() -> None:
    class Averager(DSLNet):
        """Stands for a network that has learned to denoise: the base of the mean frame."""

        def render(self, window, conditions, boxes=None):  # type: ignore[no-untyped-def]
            return measured_pq(window.mean(1))

    config = DSLNetConfig(radius=2, features=8, kernel=5, condition_pixels=1024, motion_compensated=False)
    network = Averager(config)
    group = evaluation.evaluate_dataset(SmallDataset(), network)[0]
    gain = multi_frame_gain_db(group)
    assert gain is not None and gain > 3
    assert lead_over_formulas(group)["psnr_db"] > 3


def test_report_has_a_table_a_group_and_plain_json(network: DSLNet) -> None:
    groups = evaluation.evaluate_dataset(SmallDataset(), network)
    checks = {"DSLNet": {"black": {"black_nits": 0.0}}, "BT.2446-A": {"black": {"black_nits": 0.5}}}
    text = as_markdown(groups, checks, title="small")
    assert text.count("| BT.2446-A |") == 3  # two groups and the heading of the checks
    assert "| black | black_nits | 0.000 | 0.500 |" in text
    assert f"| {CENTRE} |" in text
    found = json.loads(json.dumps(as_json(groups, checks, model="small"), allow_nan=False))
    assert found["groups"]["clean"]["mean"][OURS]["psnr_db"] == pytest.approx(groups[1].rows[OURS][0]["psnr_db"])


def test_quick_self_checks_leave_out_only_the_long_ramps() -> None:
    found = evaluation.run_self_checks(lambda window: measured_pq(window[1]), 1, quick=True)
    assert found["ramp of flat frames, 8-bit"]["reversals"] == 0
    assert found["static noise"]["noise_ratio_to_plain"] > 0
    assert "ramp of flat frames, 10-bit" not in found
    assert "ramp as a picture, 10-bit" in found


def test_an_untrained_network_moves_nothing_when_an_object_enters(network: DSLNet) -> None:
    def convert(window: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            pq: torch.Tensor = network(window[None])[0]
        return pq

    assert temporal_checks.entering_object(convert, 1)["untouched_max_codes"] == 0

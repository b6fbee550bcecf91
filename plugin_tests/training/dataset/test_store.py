"""Datasets: the same bytes from the same recipe, whatever the workers or interruptions."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
import torch

from plugin_tests.command_line import forking_context
from vsdslnet.color.transfer import pq_scalar
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.training.config.dataset import DataConfig, DegradeConfig, GradeConfig, GroupConfig, MotionConfig
from vsdslnet.training.dataset import from_scenes
from vsdslnet.training.dataset.from_scenes import build_dataset
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.simulation.shot import ShotMaker

ARRAYS = ("sdr", "cond", "hdr", "clean", "crop", "flow")


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Small tensors on a busy machine: threads only wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def digest(folder: Path) -> str:
    names = [f"{name}.npy" for name in ARRAYS] + ["meta.jsonl"]
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()


@pytest.fixture(scope="module", autouse=True)
def forked_workers() -> Iterator[None]:
    """Workers as fresh as spawned ones (test_build_dataset.py has those), which need not import PyTorch."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux":
            patch.setattr(from_scenes, "get_context", lambda _: forking_context())
        yield


@pytest.fixture(scope="module")
def built(data_folder: Path, small_recipe: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dataset")
    build_dataset(small_recipe, data=data_folder, out=out, windows=70, seed=3)
    return out


def test_a_dataset_opens_with_the_shapes_it_promises(built: Path, small_recipe: DataConfig) -> None:
    dataset = WindowDataset(built)
    assert len(dataset) == 70
    window = dataset[5]
    view = small_recipe.view
    assert window["sdr"].shape == (5, view.crop_height, view.crop_width, 3)
    assert window["cond"].shape == (5, view.cond_height, view.cond_width, 3)
    assert window["hdr"].shape == (view.crop_height, view.crop_width, 3)
    assert window["hdr"].dtype == torch.uint16
    assert window["flow"].dtype == torch.float16
    box = window["crop"]
    assert (box[2] > box[0]) and (box[3] > box[1]) and box.min() >= 0 and box.max() <= 1
    assert dataset.groups == {"train": list(range(70))}
    assert {"scene", "look", "degradation", "kind"} <= set(dataset.meta[0])
    with pytest.raises(IndexError):
        dataset[70]


def test_a_dataset_of_one_look_holds_the_same_windows_and_no_others(built: Path) -> None:
    whole = WindowDataset(built)
    look = whole.meta[-1]["look"]
    rows = [row for row, meta in enumerate(whole.meta) if meta["look"] == look]
    part = WindowDataset(built, look=look)
    assert len(part) == len(rows)
    assert part.meta == [whole.meta[row] for row in rows]
    assert torch.equal(part[-1]["sdr"], whole[rows[-1]]["sdr"])
    assert part.groups == {"train": list(range(len(rows)))}
    with pytest.raises(MediaError, match="sepia"):
        WindowDataset(built, look="sepia")


def test_no_target_is_brighter_than_1000_nits_and_the_dataset_is_not_dark(built: Path) -> None:
    hdr = WindowDataset(built).array("hdr")
    assert hdr.max() <= round(65535 * pq_scalar(1000)) + 1
    assert np.median(hdr) > 65535 * pq_scalar(2)


def test_training_never_sees_a_validation_scene(built: Path) -> None:
    assert {meta["scene"] for meta in WindowDataset(built).meta} == {"alpha", "beta", "phone"}


def test_the_same_arguments_give_the_same_bytes_with_two_workers(
    built: Path, data_folder: Path, small_recipe: DataConfig, tmp_path: Path
) -> None:
    manifest = build_dataset(small_recipe, data=data_folder, out=tmp_path, windows=70, seed=3, workers=2)
    assert digest(tmp_path) == digest(built)
    assert manifest["sha256"] == WindowDataset(built).manifest["sha256"]


def test_what_the_caller_has_set_in_its_process_changes_nothing(
    built: Path, data_folder: Path, small_recipe: DataConfig, tmp_path: Path
) -> None:
    before = cv2.useOptimized()
    torch.set_flush_denormal(True)
    cv2.setUseOptimized(not before)  # rounds differently: made in this process, the bytes would differ
    try:
        build_dataset(small_recipe, data=data_folder, out=tmp_path, windows=70, seed=3)
    finally:
        cv2.setUseOptimized(before)
        torch.set_flush_denormal(False)
    assert digest(tmp_path) == digest(built)


def test_an_interrupted_dataset_is_finished_to_the_same_bytes(
    built: Path, data_folder: Path, small_recipe: DataConfig, tmp_path: Path
) -> None:
    def stop_after_the_first_shard(done: int, _total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_dataset(
            small_recipe, data=data_folder, out=tmp_path, windows=70, seed=3, on_progress=stop_after_the_first_shard
        )
    assert multiprocessing.active_children() == []
    with pytest.raises(MediaError, match="no finished dataset"):
        WindowDataset(tmp_path)
    [first] = json.loads((tmp_path / "manifest.json").read_text())["shards"]
    made_at = (tmp_path / "shards" / "00000.jsonl").stat().st_mtime_ns
    told: list[int] = []
    build_dataset(
        small_recipe,
        data=data_folder,
        out=tmp_path,
        windows=70,
        seed=3,
        on_progress=lambda done, _total: told.append(done),
    )
    assert first == "0"
    assert (tmp_path / "shards" / "00000.jsonl").stat().st_mtime_ns == made_at
    assert len(told) == 3  # shard 0 was there, 1 and 2 were made
    assert digest(tmp_path) == digest(built)


def test_another_seed_gives_other_windows_and_may_not_go_on_with_this_dataset(
    built: Path, data_folder: Path, small_recipe: DataConfig, tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError, match="differs in seed"):
        build_dataset(small_recipe, data=data_folder, out=built, windows=70, seed=4)
    (tmp_path / "other").mkdir()
    shutil.copytree(data_folder, tmp_path / "changed")
    shutil.copy(data_folder / "hdri" / "beta.hdr", tmp_path / "changed" / "hdri" / "alpha.hdr")
    with pytest.raises(ArgumentError, match="differs in sources_sha256"):
        build_dataset(small_recipe, data=tmp_path / "changed", out=built, windows=70, seed=3)
    tmp_path = tmp_path / "other"
    build_dataset(small_recipe, data=data_folder, out=tmp_path, windows=2, seed=4)
    assert not np.array_equal(WindowDataset(tmp_path)[0]["hdr"], WindowDataset(built)[0]["hdr"])


def test_a_dataset_can_be_read_in_loader_workers(built: Path) -> None:
    loader = torch.utils.data.DataLoader(WindowDataset(built), batch_size=4, num_workers=1)
    batch = next(iter(loader))
    assert torch.equal(batch["sdr"][1], WindowDataset(built)[1]["sdr"])


def test_validation_groups_are_built_from_validation_scenes_only(
    data_folder: Path, small_recipe: DataConfig, tmp_path: Path
) -> None:
    groups = (
        GroupConfig(
            name="clean", windows=4, looks={"hard_clip": 1}, degrade=DegradeConfig(clean_share=1, h264_share=0)
        ),
        GroupConfig(name="moving", windows=4, motion=MotionConfig(still_share=0)),
    )
    recipe = msgspec.structs.replace(small_recipe, validation=groups)
    build_dataset(recipe, data=data_folder, out=tmp_path, windows=0, seed=1, split="validation")
    dataset = WindowDataset(tmp_path)
    assert dataset.groups == {"clean": [0, 1, 2, 3], "moving": [4, 5, 6, 7]}
    assert {meta["scene"] for meta in dataset.meta} == {"held"}
    assert {meta["look"] for meta in dataset.meta[:4]} == {"hard_clip"}
    assert all(meta["degradation"]["noise_code"] == 0 for meta in dataset.meta[:4])


def maker(data: Path, recipe: DataConfig, **changes: Any) -> ShotMaker:
    group = GroupConfig(name="test", **changes)
    return ShotMaker(recipe, data=data, split="train", group=group, seed=1)


def test_black_bars_are_black_on_both_sides(data_folder: Path, small_recipe: DataConfig) -> None:
    view = msgspec.structs.replace(small_recipe.view, crop_height=54, hdri_widths=(96,), detailed_widths=(96,))
    recipe = msgspec.structs.replace(small_recipe, view=view)
    clean = DegradeConfig(h264_share=0, jpeg_share=0)
    shots = maker(data_folder, recipe, grade=GradeConfig(bars_share=1), degrade=clean)
    for index in range(6):
        for window in shots.windows(index):
            bar = window.meta["bars_px"]
            assert bar >= 2
            assert window.hdr[:bar].max() == 0
            assert window.hdr[-bar:].max() == 0
            assert window.sdr[:, : bar - 1].max() == 0
            assert window.hdr[bar:-bar].max() > 0


def test_frames_of_a_still_clean_shot_are_equal_and_its_flow_is_zero(
    data_folder: Path, small_recipe: DataConfig
) -> None:
    recipe = msgspec.structs.replace(
        small_recipe, layers=msgspec.structs.replace(small_recipe.layers, cutout_share=0, light_share=0)
    )
    still = MotionConfig(still_share=1, flicker_share=0, fade_share=0)
    clean = DegradeConfig(clean_share=1, h264_share=0)
    window = maker(data_folder, recipe, motion=still, degrade=clean).windows(0)[0]
    assert (window.sdr == window.sdr[2]).all()
    assert np.nanmax(np.abs(window.flow)) == 0


def test_the_clean_frame_is_the_same_whatever_degraded_the_window(data_folder: Path, small_recipe: DataConfig) -> None:
    sources = msgspec.structs.replace(small_recipe.sources, pair=0.0)
    recipe = msgspec.structs.replace(small_recipe, sources=sources)
    clean = DegradeConfig(clean_share=1, h264_share=0, jpeg_share=0)
    noise = DegradeConfig(
        clean_share=0, strong_noise_share=1, strong_noise_code=(9, 9), light_noise_share=1, h264_share=0
    )
    for index in range(4):
        undegraded = maker(data_folder, recipe, degrade=clean).windows(index)[0]
        noisy = maker(data_folder, recipe, degrade=noise).windows(index)[0]
        assert np.array_equal(undegraded.clean, noisy.clean)
        # 8 bits and 4:2:0 cost little, noise a lot.
        error = [np.abs(window.sdr[2] - window.clean / 257.0).mean() for window in (undegraded, noisy)]
        assert error[0] < 1.5 < 3 < error[1]


def test_following_the_flow_finds_the_same_picture_in_the_neighbours(
    data_folder: Path, small_recipe: DataConfig
) -> None:
    motion = MotionConfig(still_share=0, subpixel_share=0, flicker_share=0, fade_share=0)
    clean = DegradeConfig(clean_share=1, h264_share=0, jpeg_share=0)
    shots = maker(data_folder, small_recipe, motion=motion, degrade=clean)
    ratios = []
    for index in range(12):
        window = shots.windows(index)[0]
        y, x = np.mgrid[: window.flow.shape[1], : window.flow.shape[2]].astype(np.float32)
        for k in (0, 4):
            dx, dy = window.flow[k, ..., 0].astype(np.float32), window.flow[k, ..., 1].astype(np.float32)
            u, v = x + dx, y + dy
            inside = (u >= 1) & (v >= 1) & (u <= x.max() - 1) & (v <= y.max() - 1)
            if inside.sum() < 300:
                continue
            there = cv2.remap(window.sdr[k].astype(np.float32), np.nan_to_num(u), np.nan_to_num(v), cv2.INTER_CUBIC)
            centre = window.sdr[2].astype(np.float32)
            moved = np.abs(there - centre)[inside].mean()
            unmoved = np.abs(window.sdr[k] - centre)[inside].mean()
            if unmoved > 3:
                ratios.append(moved / unmoved)
    assert len(ratios) >= 5
    assert np.median(ratios) < 0.35


def test_unknown_looks_and_empty_splits_are_refused_by_name(data_folder: Path, small_recipe: DataConfig) -> None:
    with pytest.raises(ArgumentError, match="sepia"):
        maker(data_folder, small_recipe, looks={"sepia": 1})
    with pytest.raises(ArgumentError, match="youtube_lut"):
        maker(data_folder, small_recipe, looks={"youtube": 1})
    with pytest.raises(ArgumentError, match="data="):
        maker(data_folder / "nowhere", small_recipe)

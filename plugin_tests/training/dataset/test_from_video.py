"""HDR10 films to pairs: small films encoded by the test itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np
import pytest
import torch

from vsdslnet.color.hdr_to_sdr import into_bt709
from vsdslnet.color.transfer import linear_to_bt1886, nits_to_pq, pq_scalar
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.training.config.dataset import DataConfig
from vsdslnet.training.dataset import from_video as video_dataset
from vsdslnet.training.dataset.from_video import Film, build_video_dataset
from vsdslnet.training.dataset.store import WindowDataset
from vsdslnet.training.material.video_read import VideoFile
from vsdslnet.training.material.video_sync import frame_offset, split_scenes

pytest.importorskip("vapoursynth")

WIDTH, HEIGHT = 128, 96
LENGTHS = (16, 13, 7, 14)


def film_nits(seed: int) -> list[np.ndarray]:
    """Four scenes of different pictures that slide; (H, W, 3) BT.2020 light, up to 2000 cd/m²."""
    rng = np.random.default_rng(seed)
    frames = []
    for length in LENGTHS:
        small = rng.normal(rng.uniform(2, 5), 1.2, (7, 12, 3)).clip(-2, 7.6).astype(np.float32)
        large = np.exp(cv2.resize(small, (WIDTH + 80, HEIGHT), interpolation=cv2.INTER_CUBIC).clip(-2, 7.6))
        frames += [large[:, 3 * k : 3 * k + WIDTH] for k in range(length)]
    return frames


def encode(path: Path, pictures: list[np.ndarray], *, hdr: bool) -> None:
    """Signal pictures (H, W, 3) 0..1 as tagged HEVC 10 bit PQ BT.2020, or H.264 BT.709."""
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265" if hdr else "libx264", rate=24)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuv420p10le" if hdr else "yuv420p"
        stream.options = {"crf": "4", "preset": "ultrafast"} | (
            {"x265-params": "log-level=none:colorprim=9:transfer=16:colormatrix=9:range=limited"}
            if hdr
            else {"x264-params": "colorprim=bt709:transfer=bt709:colormatrix=bt709"}
        )
        context = stream.codec_context
        context.color_primaries = 9 if hdr else 1
        context.color_trc = 16 if hdr else 1
        context.colorspace = 9 if hdr else 1
        context.color_range = 1
        for picture in pictures:
            kr, kb = (0.2627, 0.0593) if hdr else (0.2126, 0.0722)
            r, g, b = (picture[..., c] for c in range(3))
            y = kr * r + (1 - kr - kb) * g + kb * b
            chroma = [cv2.resize((p - y) / (2 * (1 - k)), (WIDTH // 2, HEIGHT // 2)) for p, k in ((b, kb), (r, kr))]
            scale = 4 if hdr else 1
            planes = [scale * (16 + 219 * y), *(scale * (128 + 224 * c) for c in chroma)]
            dtype = np.uint16 if hdr else np.uint8
            packed = np.concatenate([np.rint(p).astype(dtype).reshape(-1, WIDTH) for p in planes])
            frame = av.VideoFrame.from_ndarray(packed, format=stream.pix_fmt)
            frame.colorspace, frame.color_range = Colorspace(9 if hdr else 1), ColorRange(1)
            frame.color_primaries, frame.color_trc = ColorPrimaries(9 if hdr else 1), ColorTrc(16 if hdr else 1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def sdr_of(nits: np.ndarray) -> np.ndarray:
    light = into_bt709(torch.from_numpy(np.ascontiguousarray(nits)).permute(2, 0, 1) / 400).clamp(0, 1)
    return linear_to_bt1886(light).permute(1, 2, 0).numpy()


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Small tensors on a busy machine: threads only wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    for number, name in enumerate(("one", "two")):
        nits = film_nits(number)
        encode(root / f"{name}.mkv", [nits_to_pq(torch.from_numpy(f.copy())).numpy() for f in nits], hdr=True)
        if name == "one":
            # The SDR version lacks the first three frames.
            encode(root / "one_sdr.mkv", [sdr_of(f) for f in nits[3:]], hdr=False)
    return root


@pytest.fixture
def video_recipe(small_recipe: DataConfig) -> DataConfig:
    return msgspec.structs.replace(small_recipe, looks={"hard_clip": 1.0, "bt2446a": 1.0})


def build(recipe: DataConfig, films: Path, out: Path) -> dict[str, Any]:
    both = [Film(hdr=films / "one.mkv", sdr=films / "one_sdr.mkv"), Film(hdr=films / "two.mkv", test=True)]
    return build_video_dataset(recipe, films=both, out=out, seed=2, crops_per_scene=2)


def test_hdr10_files_are_read_as_light_and_sdr_files_as_codes(films: Path) -> None:
    nits = film_nits(0)
    frame = next(iter(VideoFile(films / "one.mkv", hdr=True).read(5, 1)))
    error = (nits_to_pq(torch.from_numpy(frame)) - nits_to_pq(torch.from_numpy(nits[5].copy()))).abs().numpy()
    assert np.median(error) < 0.004
    codes = next(iter(VideoFile(films / "one_sdr.mkv", hdr=False).read(2, 1)))
    assert np.median(np.abs(codes / 255 - sdr_of(nits[5]))) < 0.01
    with pytest.raises(MediaError, match="not HDR"):
        VideoFile(films / "one_sdr.mkv", hdr=True)
    (films / "text.mkv").write_text("not a film")
    with pytest.raises(MediaError, match=r"text\.mkv"):
        VideoFile(films / "text.mkv", hdr=True)


def test_a_data_set_is_aligned_split_and_cut_as_the_paper_says(
    films: Path, video_recipe: DataConfig, tmp_path: Path
) -> None:
    manifest = build(video_recipe, films, tmp_path)
    one, two = manifest["films"]["one"], manifest["films"]["two"]
    assert (one["split"], two["split"]) == ("train", "test")
    assert one["offset_frames"] == -3
    # Scenes begin at 0, 16, 29 (too short: 7 frames) and 36; ten frames lie inside each.
    starts = [0, 16, 36]
    assert len(one["firsts"]) == len(two["firsts"]) == 3
    for first, start, length in zip(two["firsts"], starts, (16, 13, 14), strict=True):
        assert start <= first <= start + length - 10
    dataset = WindowDataset(tmp_path / "train")
    assert len(dataset) == 6
    assert dataset.groups == {"one": list(range(6))}
    assert dataset.array("hdr").max() <= round(65535 * pq_scalar(1000)) + 1
    window, meta = dataset[0], dataset.meta[0]
    # Both sides show the same picture: the simulated SDR of the stored target is the stored SDR.
    nits = film_nits(0)[meta["frame"]]
    x, y = (round(float(window["crop"][k]) * n) for k, n in ((0, WIDTH), (1, HEIGHT)))
    crop = np.s_[y : y + 32, x : x + 48]
    assert np.median(np.abs(window["sdr"][2].numpy() / 255 - sdr_of(nits)[crop])) < 0.012
    expected = nits_to_pq(torch.from_numpy(nits[crop].copy()).clamp(max=1000))
    assert float((window["hdr"].float() / 65535 - expected).abs().median()) < 0.005
    folder = tmp_path / "test" / "two" / "0001"
    assert len(list(folder.glob("hdr_*.png"))) == len(list(folder.glob("sdr_*.png"))) == 10
    picture = cv2.imread(str(folder / "hdr_00.png"), cv2.IMREAD_UNCHANGED)
    assert picture.dtype == np.uint16
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert set(manifest["test"]) == {"two/0000", "two/0001", "two/0002"}
    assert len(manifest["test"]["two/0001"]["sha256"]) == 20


def test_a_data_set_goes_on_where_it_was_stopped(
    films: Path, video_recipe: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build(video_recipe, films, tmp_path / "whole")
    real, calls = video_dataset._Cutter.frames, []

    def dies_at_the_third(self: Any, scene: Any) -> Any:
        calls.append(scene)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, scene)

    monkeypatch.setattr(video_dataset._Cutter, "frames", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        build(video_recipe, films, tmp_path / "parts")
    assert build(video_recipe, films, tmp_path / "parts") == whole
    assert len(calls) == 3 + 4
    assert json.loads((tmp_path / "parts" / "manifest.json").read_text()) == whole


def test_versions_of_different_films_are_refused(films: Path, video_recipe: DataConfig, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="do not show the same film"):
        build_video_dataset(video_recipe, films=[Film(hdr=films / "two.mkv", sdr=films / "one_sdr.mkv")], out=tmp_path)
    twice = [Film(hdr=films / "two.mkv"), Film(hdr=films / "two.mkv", test=True)]
    with pytest.raises(ArgumentError, match="different names"):
        build_video_dataset(video_recipe, films=twice, out=tmp_path)


@pytest.mark.parametrize("offset", [-9, -1, 0, 4, 17])
def test_an_offset_is_found_through_another_tone_curve_and_noise(offset: int) -> None:
    rng = np.random.default_rng(0)
    film = np.stack([f.mean(axis=2)[::8, ::8] for f in film_nits(3)])
    film = np.concatenate([film, film[::-1]])
    hdr = (np.log(film) / 9 + 0.3).astype(np.float32)[20 : 20 + 50]
    sdr = np.clip((film / 500) ** 0.4, 0, 1).astype(np.float32)[20 - offset :][:60]
    sdr = sdr + rng.normal(0, 0.01, sdr.shape).astype(np.float32)
    assert frame_offset(hdr, sdr, limit_frames=25) == offset


def test_scenes_are_cut_at_cuts_and_not_at_fades_or_flashes() -> None:
    film = np.stack([f.mean(axis=2)[::4, ::4] for f in film_nits(4)])
    signal = (np.log(film) / 9 + 0.2).clip(0, 1).astype(np.float32)
    assert [span.first for span in split_scenes(signal, margin_frames=0)] == [0, 16, 29, 36]
    inner = split_scenes(signal)
    assert [(span.first, span.end) for span in inner][:2] == [(0, 15), (17, 28)]
    fading = np.repeat(signal[:1], 30, axis=0) * np.linspace(1, 0, 30, dtype=np.float32)[:, None, None]
    assert len(split_scenes(fading)) == 1
    flashing = np.repeat(signal[:1], 30, axis=0)
    flashing[15] = 1.0
    assert len(split_scenes(flashing)) == 1
    assert split_scenes(np.zeros((0, 4, 4), np.float32)) == []

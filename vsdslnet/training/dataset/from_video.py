"""The paper's data set from anyone's films: HDR10 video and its SDR version, given or simulated.

Aligned, split into scenes, ten consecutive frames a scene. Films for training become a dataset of crops
(:class:`vsdslnet.training.dataset.store.WindowDataset`); films for testing become full frames: ``test/<film>/<scene>/``
with ``hdr_00.png`` (16-bit RGB, PQ BT.2020 full range) and ``sdr_00.png`` (8-bit RGB), and a manifest with hashes.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from vsdslnet.color.transfer import nits_to_pq
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.training.config.dataset import TARGET_PEAK_NITS, DataConfig
from vsdslnet.training.dataset.store import fill_dataset, write_json, write_shard
from vsdslnet.training.material.video_read import VideoFile
from vsdslnet.training.material.video_sync import SceneSpan, frame_offset, split_scenes
from vsdslnet.training.simulation.degrade import degrade, sample_degradation
from vsdslnet.training.simulation.sdr_looks import LOOKS
from vsdslnet.training.simulation.windows import Window

__all__ = ["SCENE_FRAMES", "Film", "build_video_dataset"]

SCENE_FRAMES = 10
"""Consecutive frames taken of a scene, as the paper does."""

_ALIGN_FRAMES = 1500


@dataclass(frozen=True, kw_only=True)
class Film:
    """One film: its HDR video, its SDR version (None: simulated), and whether it is for testing."""

    hdr: Path
    sdr: Path | None = None
    test: bool = False

    @property
    def name(self) -> str:
        """The name of the HDR file without its ending."""
        return self.hdr.stem


@dataclass(frozen=True, kw_only=True)
class _Scene:
    film: int
    number: int
    first: int


class _FilmScenes(msgspec.Struct, kw_only=True):
    """What was found in one film; kept, so that a resumed run does not read the film again."""

    hdr_sha256: str
    sdr_sha256: str
    offset_frames: int
    firsts: list[int]


def build_video_dataset(
    config: DataConfig,
    *,
    films: list[Film],
    out: Path,
    seed: int = 1,
    scenes_per_film: int = 200,
    crops_per_scene: int = 4,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, Any]:
    """Build ``out/train`` (a dataset) and ``out/test`` (full frames); a second call goes on where the first stopped.

    Returns the manifest, also written to ``out/manifest.json``. Raises ArgumentError for films of one name,
    MediaError for files that can't be read, don't belong together, or hold no scene of ten frames.
    """
    names = [film.name for film in films]
    if len(set(names)) != len(names) or not films:
        raise ArgumentError("hdr", names, "one or more films with different names", "rename them")
    out.mkdir(parents=True, exist_ok=True)
    film_scenes = []
    for number, film in enumerate(films):
        film_scenes.append(_film_scenes(film, out / "scenes" / f"{film.name}.json", scenes_per_film))
        on_progress("films", number + 1, len(films))
    scenes = [
        _Scene(film=f, number=k, first=first)
        for f, chosen in enumerate(film_scenes)
        for k, first in enumerate(chosen.firsts)
    ]
    cutter = _Cutter(config, films=films, film_scenes=film_scenes, seed=seed, crops=crops_per_scene)
    manifest: dict[str, Any] = {
        "films": {
            film.name: {"split": "test" if film.test else "train", **msgspec.to_builtins(chosen)}
            for film, chosen in zip(films, film_scenes, strict=True)
        }
    }
    training = [scene for scene in scenes if not films[scene.film].test]
    if training:

        def make(todo: list[int]) -> Generator[tuple[int, str]]:
            for shard in todo:
                windows = cutter.windows(training[shard])
                yield shard, write_shard(out / "train", shard, windows, start=shard * crops_per_scene)

        identity = {"seed": seed, "films": manifest["films"], "config": msgspec.to_builtins(config)}
        dataset = fill_dataset(
            out / "train",
            config=config,
            identity=identity,
            sizes=[crops_per_scene] * len(training),
            make=make,
            on_progress=lambda done, total: on_progress("training crops", done, total),
        )
        manifest["train_sha256"] = dataset["sha256"]
    manifest["test"] = _write_test(cutter, [s for s in scenes if films[s.film].test], films, out / "test", on_progress)
    write_json(out / "manifest.json", manifest)
    return manifest


def _film_scenes(film: Film, path: Path, most: int) -> _FilmScenes:
    hashes = _sha256(film.hdr), _sha256(film.sdr) if film.sdr else ""
    if path.exists():
        chosen = msgspec.json.decode(path.read_bytes(), type=_FilmScenes)
        if (chosen.hdr_sha256, chosen.sdr_sha256) == hashes:
            return chosen
    hdr = VideoFile(film.hdr, hdr=True)
    thumbnails = hdr.thumbnails()
    offset, usable = 0, SceneSpan(first=0, end=hdr.frames)
    if film.sdr:
        sdr = VideoFile(film.sdr, hdr=False)
        offset = frame_offset(thumbnails[:_ALIGN_FRAMES], sdr.thumbnails(limit_frames=_ALIGN_FRAMES))
        usable = SceneSpan(first=max(0, -offset), end=min(hdr.frames, sdr.frames - offset))
    firsts = []
    for span in split_scenes(thumbnails):
        first, end = max(span.first, usable.first), min(span.end, usable.end)
        if end - first >= SCENE_FRAMES:
            firsts.append((first + end - SCENE_FRAMES) // 2)
    if not firsts:
        raise MediaError(f"{film.hdr.name} holds no scene of {SCENE_FRAMES} frames that both versions have")
    # Spread over the film rather than its beginning.
    picks = np.unique(np.linspace(0, len(firsts) - 1, min(most, len(firsts))).round().astype(int))
    chosen = _FilmScenes(
        hdr_sha256=hashes[0], sdr_sha256=hashes[1], offset_frames=offset, firsts=[firsts[k] for k in picks.tolist()]
    )
    path.parent.mkdir(exist_ok=True)
    write_json(path, msgspec.to_builtins(chosen))
    return chosen


class _Cutter:
    """Reads scenes and cuts windows from them; every scene is a pure function of (files, seed)."""

    def __init__(
        self, config: DataConfig, *, films: list[Film], film_scenes: list[_FilmScenes], seed: int, crops: int
    ) -> None:
        self._config, self._films, self._film_scenes, self._seed, self._crops = config, films, film_scenes, seed, crops
        self._files: dict[Path, VideoFile] = {}

    def frames(self, scene: _Scene) -> tuple[list[NDArray[np.float32]], NDArray[np.uint8], list[Any], dict[str, Any]]:
        """HDR light of the ten frames (clipped at 1000 cd/m² per channel), SDR codes (10, H, W, 3), what they were
        before they were degraded (signal 0..1), facts."""
        film, chosen = self._films[scene.film], self._film_scenes[scene.film]
        hdr = self._file(film.hdr, hdr=True)
        peak = np.float32(TARGET_PEAK_NITS)
        if film.sdr:
            # Where sizes differ the HDR side follows: the SDR picture is what the network will be given.
            sdr_file = self._file(film.sdr, hdr=False)
            size = {"width": sdr_file.width, "height": sdr_file.height}
            light = [np.minimum(f, peak) for f in hdr.read(scene.first, SCENE_FRAMES, **size)]
            sdr = np.stack(list(sdr_file.read(scene.first + chosen.offset_frames, SCENE_FRAMES)))
            return light, sdr, [frame / np.float32(255) for frame in sdr], {"look": "given"}
        light = [np.minimum(frame, peak) for frame in hdr.read(scene.first, SCENE_FRAMES)]
        rng = np.random.default_rng([self._seed, zlib.crc32(film.name.encode()), scene.number])
        names = [name for name in self._config.looks if not LOOKS[name].lut]
        weights = np.array([self._config.looks[name] for name in names])
        name = str(rng.choice(names, p=weights / weights.sum()))
        parameters = LOOKS[name].sample(rng)
        how = sample_degradation(rng, self._config.degrade, photograph=False)
        how = msgspec.structs.replace(how, in_light=False)
        signal = []
        height, width = (2 * (n // 2) for n in light[0].shape[:2])
        for frame in light:
            planes = torch.from_numpy(frame[:height, :width]).permute(2, 0, 1)[None].contiguous()
            signal.append(np.ascontiguousarray(LOOKS[name].apply(planes, **parameters)[0].permute(1, 2, 0).numpy()))
        sdr, types = degrade(rng, signal, how, picture_rows=slice(None))
        light = [frame[:height, :width] for frame in light]
        return light, sdr, signal, {"look": name, "parameters": parameters, "degradation": how, "picture_types": types}

    def windows(self, scene: _Scene) -> list[Window]:
        """The training crops of a scene: random places, centre frames spread over the ten."""
        light, sdr, clean, facts = self.frames(scene)
        view, film = self._config.view, self._films[scene.film]
        height, width = sdr.shape[1:3]
        if height < view.crop_height or width < view.crop_width:
            raise MediaError(
                f"{film.name} is {width}x{height}: smaller than a crop {view.crop_width}x{view.crop_height}"
            )
        rng = np.random.default_rng([self._seed, zlib.crc32(film.name.encode()), scene.number, 1])
        half = view.frames // 2
        size = (view.cond_width, view.cond_height)
        cond = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in sdr])
        unknown = np.full((view.frames, view.crop_height, view.crop_width, 2), np.nan, np.float16)
        windows = []
        for number in range(self._crops):
            centre = half + number * (SCENE_FRAMES - 2 * half) // self._crops
            x = 2 * int(rng.integers((width - view.crop_width) // 2 + 1))
            y = 2 * int(rng.integers((height - view.crop_height) // 2 + 1))
            rows, columns = slice(y, y + view.crop_height), slice(x, x + view.crop_width)
            span = slice(centre - half, centre + half + 1)
            box = [x / width, y / height, (x + view.crop_width) / width, (y + view.crop_height) / height]
            meta = {"group": film.name, "scene": f"{film.name}/{scene.number:04d}", "kind": "video"}
            of_window = {"picture_types": facts["picture_types"][span]} if "picture_types" in facts else {}
            windows.append(
                Window(
                    sdr=np.ascontiguousarray(sdr[span, rows, columns]),
                    cond=cond[span],
                    hdr=_pq16(light[centre][rows, columns]),
                    clean=np.rint(65535 * clean[centre][rows, columns].clip(0, 1)).astype(np.uint16),
                    crop=np.array(box, np.float32),
                    flow=unknown,
                    meta={**meta, "frame": scene.first + centre, "view": [width, height], **facts, **of_window},
                )
            )
        return windows

    def _file(self, path: Path, *, hdr: bool) -> VideoFile:
        if path not in self._files:
            self._files[path] = VideoFile(path, hdr=hdr)
        return self._files[path]


def _write_test(
    cutter: _Cutter, scenes: list[_Scene], films: list[Film], out: Path, on_progress: Callable[[str, int, int], None]
) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for number, scene in enumerate(scenes):
        folder = out / films[scene.film].name / f"{scene.number:04d}"
        done = folder / "hashes.json"
        if not done.exists():
            light, sdr, _, facts = cutter.frames(scene)
            folder.mkdir(parents=True, exist_ok=True)
            hashes = {}
            for k in range(SCENE_FRAMES):
                for name, picture in ((f"hdr_{k:02d}.png", _pq16(light[k])), (f"sdr_{k:02d}.png", sdr[k])):
                    ok, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
                    assert ok
                    (folder / name).write_bytes(data.tobytes())
                    hashes[name] = hashlib.sha256(data.tobytes()).hexdigest()
            write_json(done, {"first_frame": scene.first, **facts, "sha256": hashes})
        written[f"{films[scene.film].name}/{scene.number:04d}"] = json.loads(done.read_text())
        on_progress("test scenes", number + 1, len(scenes))
    return written


def _pq16(light: NDArray[np.float32]) -> NDArray[np.uint16]:
    pq = nits_to_pq(torch.from_numpy(np.ascontiguousarray(light)).double())
    return np.rint(65535 * pq.numpy()).astype(np.uint16)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaError(f"{path} can't be read ({error})") from error

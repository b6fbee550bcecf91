"""One simulated shot, from a seed to windows: camera, layers, grade, SDR look, degradation, crops."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.color.transfer import pq_to_nits
from vsdslnet.errors import ArgumentError
from vsdslnet.training.config.dataset import TARGET_PEAK_NITS, DataConfig, GroupConfig, SourceConfig
from vsdslnet.training.material.pyramid import from_root
from vsdslnet.training.material.scenes import Scene, find_scenes, load_clip, load_photograph, load_radiance
from vsdslnet.training.simulation.camera import Motion, sample_motion
from vsdslnet.training.simulation.degrade import Degradation, sample_degradation
from vsdslnet.training.simulation.foreground import sample_layers
from vsdslnet.training.simulation.grade import apply_grade, exposure_gain, sample_grade
from vsdslnet.training.simulation.layers import Layer, composite
from vsdslnet.training.simulation.sdr_looks import LOOKS, Look
from vsdslnet.training.simulation.table_looks import read_table
from vsdslnet.training.simulation.view import film, sample_camera
from vsdslnet.training.simulation.windows import Shot, Window, cut_windows

__all__ = ["ShotMaker"]

Floats = NDArray[np.float32]

_CLIP_WIDTHS = (480, 640, 960)
# At 100 cd/m² one unit of SDR signal is about 400 cd/m², and the square root's slope there is 1/20.
_ROOT_PER_SIGNAL = 20.0


class _SampledLook(NamedTuple):
    """An SDR look with the parameters that one shot has."""

    name: str
    look: Look
    parameters: dict[str, float]
    lut: Tensor | None

    @property
    def peak_nits(self) -> float | None:
        """A gain map's own peak: SDR white times its full gain."""
        if "stops" not in self.parameters:
            return None
        return float(np.clip(self.parameters["white_nits"] * 2 ** self.parameters["stops"], 400, 2200))

    @property
    def meta(self) -> dict[str, Any]:
        """What a window remembers of it."""
        return {"look": self.name, "parameters": self.parameters}

    def apply(self, nits: Tensor) -> list[Floats]:
        """HDR light (F, 3, H, W) -> SDR signal (H, W, 3) of each frame."""
        arguments: dict[str, Any] = dict(self.parameters)
        if self.look.lut:
            arguments["lut"] = self.lut
        return _signal(self.look.apply(nits, **arguments))


class ShotMaker:
    """Makes the windows of one group: every shot is a pure function of (recipe, data, seed, group, index)."""

    def __init__(self, config: DataConfig, *, data: Path, split: str, group: GroupConfig, seed: int) -> None:
        """Raises ArgumentError for unknown looks, a missing LUT, or a split without scenes."""
        self._config, self._group, self._seed = config, group, seed
        self._sources = group.sources or config.sources
        self._grade = group.grade or config.grade
        self._motion = group.motion or config.motion
        self._degrade = group.degrade or config.degrade
        looks = group.looks or config.looks
        unknown = sorted(set(looks) - set(LOOKS))
        if unknown or not looks:
            raise ArgumentError("looks", unknown, f"names among {', '.join(LOOKS)}", "correct the recipe")
        self._look_names = [name for name, weight in looks.items() if weight > 0]
        self._look_weights = _normalised([looks[name] for name in self._look_names])
        scenes = find_scenes(data, config, split=split)
        self._kinds = [k for k in SourceConfig.__struct_fields__ if getattr(self._sources, k) > 0]
        self._scenes = {kind: [s for s in scenes if s.kind == kind] for kind in self._kinds}
        self._kinds = [kind for kind in self._kinds if self._scenes[kind]]
        if not self._kinds:
            raise ArgumentError("sources", group.name, f"kinds with scenes in split {split}", "check --data")
        self._kind_weights = _normalised([getattr(self._sources, kind) for kind in self._kinds])
        self._textures = [s for s in scenes if s.kind in ("hdri", "still")]
        self._luts: dict[str, Tensor] = {}
        for key in {LOOKS[name].lut for name in self._look_names} - {""}:
            path = data / str(getattr(config, key))
            if not path.is_file():
                of = next(name for name in self._look_names if LOOKS[name].lut == key)
                raise ArgumentError(key, str(path), "an existing file", f"or leave looks.{of} out")
            self._luts[key] = read_table(path)

    def windows(self, index: int) -> list[Window]:
        """The ``crops_per_view`` windows of shot ``index``."""
        entropy = [self._seed, zlib.crc32(self._group.name.encode()), index]
        streams = [np.random.default_rng(s) for s in np.random.SeedSequence(entropy).spawn(5)]
        choice, render, look, degrade_rng, place_rng = streams
        kind = str(choice.choice(self._kinds, p=self._kind_weights))
        scene = self._scenes[kind][int(choice.integers(len(self._scenes[kind])))]
        motion = sample_motion(choice, self._motion, frames=self._config.view.frames)
        how = sample_degradation(
            degrade_rng, self._degrade, photograph=motion.is_still and kind in ("pair", "original", "still")
        )
        if kind in ("pair", "original"):
            shot = self._pair_shot(scene, motion, render)
        elif kind == "clip":
            shot = self._clip_shot(scene, render, look)
        else:
            shot = self._radiance_shot(scene, motion, how, render, look)
        if kind in ("pair", "original", "clip"):
            how = Degradation(**{**_plain(how), "in_light": False})
        meta = {"group": self._group.name, "scene": scene.id, "kind": kind, "shot": index}
        return cut_windows(shot, self._config.view, how, degrade_rng=degrade_rng, place_rng=place_rng, meta=meta)

    def _radiance_shot(
        self, scene: Scene, motion: Motion, how: Degradation, rng: np.random.Generator, look_rng: np.random.Generator
    ) -> Shot:
        picture = load_radiance(scene)
        camera = sample_camera(rng, self._config.view, picture.levels[0], motion, equirect=scene.equirect)
        roots = film(picture.levels, camera, motion, wrap=scene.equirect)
        # A still shot is one frame, many times.
        light = [from_root(root) for root in (roots[:1] if motion.is_still else roots)]
        light = light * (len(roots) // len(light))
        look = self._sample_look(look_rng)
        grade = sample_grade(rng, self._grade, peak_nits=look.peak_nits, brighter_stops=look.look.brighter_stops)
        centre = len(light) // 2
        gain = exposure_gain(_channels_first(light[centre]), grade)
        layers = sample_layers(
            rng,
            self._config.layers,
            self._textures,
            camera,
            light[centre],
            gain=gain,
            still=motion.is_still,
            frames=len(light),
        )
        if layers:
            light = [_with_layers(frame, layers, k) for k, frame in enumerate(light)]
        exposure = self._exposure(rng, len(light))
        resting = all(not np.ptp(layer.x) and not np.ptp(layer.y) for layer in layers)
        same = motion.is_still and exposure is None and resting
        stack = torch.stack([_channels_first(frame) for frame in (light[:1] if same else light)])
        if exposure is not None:
            stack = stack * torch.from_numpy(exposure).reshape(-1, 1, 1, 1)
        nits = apply_grade(stack, grade, gain=gain)
        at = 0 if same else centre
        target = nits[at]
        nits = nits.clamp(max=TARGET_PEAK_NITS) if look.name == "youtube" else nits
        noisy = how.noise_code > 0 and how.in_light
        signal = look.apply(_with_noise(nits.expand(len(light), -1, -1, -1), how.noise_code, rng) if noisy else nits)
        frames = signal if len(signal) > 1 else signal * len(light)
        return Shot(
            signal=frames,
            clean=look.apply(nits[at : at + 1])[0] if noisy else frames[centre],
            target=target,
            bars=grade.bars,
            meta={**look.meta, "grade": grade, "gain": gain, "exposure_varies": exposure is not None},
            camera=camera,
            layers=layers,
        )

    def _pair_shot(self, scene: Scene, motion: Motion, rng: np.random.Generator) -> Shot:
        picture = load_photograph(scene)
        camera = sample_camera(rng, self._config.view, picture.levels[0], motion, equirect=scene.equirect)
        frames = film(picture.levels, camera, motion, wrap=False)
        signal = [np.ascontiguousarray(frame[..., :3].clip(0, 1)) for frame in frames]
        pq = _channels_first(frames[len(frames) // 2][..., 3:])
        bars = float(rng.choice([0.744, 0.885])) if rng.random() < self._grade.bars_share else 1.0
        return Shot(
            signal=signal,
            clean=signal[len(signal) // 2],
            target=pq_to_nits(pq),
            bars=bars,
            meta={"look": "phone"},
            camera=camera,
        )

    def _clip_shot(self, scene: Scene, rng: np.random.Generator, look_rng: np.random.Generator) -> Shot:
        clip = load_clip(scene)
        count = self._config.view.frames
        if len(clip) < count:
            raise ArgumentError("clip", scene.id, f"at least {count} frames", "take it out of the data folder")
        start = int(rng.integers(len(clip) - count + 1))
        width = int(rng.choice([w for w in _CLIP_WIDTHS if w <= clip[0].shape[1]]))
        size = (width, 2 * round(width * 9 / 32))
        frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip[start : start + count]]
        nits = torch.stack([_channels_first(np.asarray(frame)) for frame in frames]).clamp(max=TARGET_PEAK_NITS)
        look = self._sample_look(look_rng)
        signal = look.apply(nits)
        centre = count // 2
        return Shot(signal=signal, clean=signal[centre], target=nits[centre], bars=1.0, meta=look.meta)

    def _sample_look(self, rng: np.random.Generator) -> _SampledLook:
        name = str(rng.choice(self._look_names, p=self._look_weights))
        return _SampledLook(name, LOOKS[name], LOOKS[name].sample(rng), self._luts.get(LOOKS[name].lut))

    def _exposure(self, rng: np.random.Generator, frames: int) -> Floats | None:
        """A factor on the light of each frame, where a light flickers or the shot fades."""
        pick, config = rng.random(), self._motion
        if pick < config.flicker_share:
            stops = rng.normal(0, config.flicker_stops, frames)
        elif pick < config.flicker_share + config.fade_share:
            stops = rng.uniform(-1, 1) * config.fade_stops * (np.arange(frames) - frames // 2) / (frames // 2)
        else:
            return None
        return np.exp2(stops).astype(np.float32)


def _with_layers(light: Floats, layers: list[Layer], frame: int) -> Floats:
    for layer in layers:
        light = composite(light, layer, frame)
    return light


def _with_noise(nits: Tensor, noise_code: float, rng: np.random.Generator) -> Tensor:
    """Light with noise of so many 8-bit codes of a square-root signal."""
    noise = rng.standard_normal(tuple(nits.shape), dtype=np.float32)
    root = nits.sqrt() + (_ROOT_PER_SIGNAL * noise_code / 255) * torch.from_numpy(noise)
    # Signed square: noise about black keeps a mean of 0 before the curve clips it.
    return (root * root.abs()).clamp(min=0)


def _signal(planes: Tensor) -> list[Floats]:
    return [np.ascontiguousarray(frame) for frame in planes.permute(0, 2, 3, 1).numpy()]


def _channels_first(image: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()


def _plain(how: Degradation) -> dict[str, Any]:
    return {name: getattr(how, name) for name in how.__struct_fields__}


def _normalised(weights: list[float]) -> NDArray[np.float64]:
    values = np.array(weights, dtype=np.float64)
    return values / values.sum()

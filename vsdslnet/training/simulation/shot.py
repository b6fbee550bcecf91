"""One simulated shot, from a seed to windows: camera, layers, grade, SDR look, degradation, crops."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.color.transfer import nits_to_pq, pq_to_nits
from vsdslnet.errors import ArgumentError
from vsdslnet.training.config.dataset import DataConfig, GroupConfig, SourceConfig
from vsdslnet.training.material.radiance import from_root
from vsdslnet.training.material.scenes import Scene, find_scenes, load_clip, load_pair, load_radiance
from vsdslnet.training.simulation.camera import (
    Camera,
    EquirectCamera,
    MirroredCamera,
    Motion,
    PlanarCamera,
    sample_motion,
)
from vsdslnet.training.simulation.degrade import Degradation, degrade, sample_degradation
from vsdslnet.training.simulation.grade import TARGET_PEAK_NITS, apply_grade, exposure_gain, sample_grade
from vsdslnet.training.simulation.layers import Layer, composite, cutout_layer, layer_alpha, light_layer
from vsdslnet.training.simulation.sdr_looks import LOOKS, smooth_lut

__all__ = ["ShotMaker", "Window"]

Floats = NDArray[np.float32]

_CLIP_WIDTHS = (480, 640, 960)
# At 100 cd/m² one unit of SDR signal is about 400 cd/m², and the square root's slope there is 1/20.
_ROOT_PER_SIGNAL = 20.0


@dataclass(frozen=True, kw_only=True)
class Window:
    """What a pool stores of one window; see :class:`vsdslnet.training.dataset.store.Pool` for the shapes."""

    sdr: NDArray[np.uint8]
    cond: NDArray[np.uint8]
    hdr: NDArray[np.uint16]
    clean: NDArray[np.uint16]
    crop: Floats
    flow: NDArray[np.float16]
    meta: dict[str, Any]


@dataclass(kw_only=True)
class _Shot:
    """A rendered shot before degradation."""

    signal: list[Floats]
    """SDR signal of each frame (H, W, 3)."""
    clean: Floats
    """The centre frame's without the noise that the light had."""
    target: Tensor
    """The centre frame's light (3, H, W), BT.2020, cd/m²."""
    bars: float
    meta: dict[str, Any]
    camera: Camera | None = None
    layers: list[Layer] = field(default_factory=list)


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
        self._lut: Tensor | None = None
        if any(LOOKS[name].needs_lut for name in self._look_names):
            path = data / config.youtube_lut
            if not path.is_file():
                raise ArgumentError("youtube_lut", str(path), "an existing file", "or set looks.youtube = 0")
            self._lut = smooth_lut(np.load(path))

    def windows(self, index: int) -> list[Window]:
        """The ``crops_per_view`` windows of shot ``index``."""
        entropy = [self._seed, zlib.crc32(self._group.name.encode()), index]
        streams = [np.random.default_rng(s) for s in np.random.SeedSequence(entropy).spawn(5)]
        plan, render, look, spoil, cut = streams
        kind = str(plan.choice(self._kinds, p=self._kind_weights))
        scene = self._scenes[kind][int(plan.integers(len(self._scenes[kind])))]
        motion = sample_motion(plan, self._motion, frames=self._config.view.frames)
        how = sample_degradation(
            spoil, self._degrade, photograph=motion.is_still and kind in ("pair", "original", "still")
        )
        if kind in ("pair", "original"):
            shot = self._pair_shot(scene, motion, render)
        elif kind == "clip":
            shot = self._clip_shot(scene, render, look)
        else:
            shot = self._radiance_shot(scene, motion, how, render, look)
        if kind in ("pair", "original", "clip"):
            how = Degradation(**{**_plain(how), "in_light": False})
        return self._cut(shot, how, spoil, cut, {"scene": scene.id, "kind": kind, "shot": index})

    # --- rendering -------------------------------------------------------------------------------

    def _size(self, rng: np.random.Generator, widths: tuple[int, ...], limit: float) -> tuple[int, int]:
        allowed = [w for w in widths if w <= limit] or [min(widths)]
        width = int(rng.choice(allowed))
        return width, 2 * round(width * 9 / 32)

    def _camera(self, scene: Scene, level: Floats, motion: Motion, rng: np.random.Generator) -> Camera:
        view = self._config.view
        height_px, width_px = level.shape[:2]
        camera: Camera
        if scene.equirect:
            widths = view.hdri_widths if width_px <= 2048 else view.detailed_widths
            width, height = self._size(rng, widths, 1e9)
            camera = EquirectCamera(
                map_width=width_px,
                width=width,
                height=height,
                fov=float(np.deg2rad(rng.uniform(*view.fov_degrees))),
                yaw=float(rng.uniform(-np.pi, np.pi)),
                pitch=float(np.deg2rad(rng.uniform(*view.pitch_degrees))),
                motion=motion,
            )
        else:
            width, height = self._size(rng, view.detailed_widths, 1.25 * width_px)
            widest = min(width_px / width, height_px / height)
            scale = float(np.exp(rng.uniform(np.log(min(0.7, widest)), np.log(widest))))
            room = [(n - scale * m) / 2 - scale * motion.reach_px for n, m in ((width_px, width), (height_px, height))]
            x, y = (n / 2 + rng.uniform(-1, 1) * max(r, 0) for n, r in zip((width_px, height_px), room, strict=True))
            camera = PlanarCamera(centre_x=x, centre_y=y, scale=scale, width=width, height=height, motion=motion)
        return MirroredCamera(camera) if rng.random() < 0.5 else camera

    def _frames(self, levels: list[Floats], camera: Camera, motion: Motion, *, wrap: bool) -> list[Floats]:
        border = cv2.BORDER_WRAP if wrap else cv2.BORDER_REFLECT_101
        u, v = camera.source_xy(len(motion.pan_x) // 2, 1.0)
        # How many source px one view px steps over, at the picture's centre (u jumps where a map wraps).
        middle = camera.height // 2
        step = float(np.median(np.hypot(np.diff(u[middle]), np.diff(v[middle]))))
        number = int(np.clip(np.floor(np.log2(max(step, 1.0)) + 0.3), 0, len(levels) - 1))
        scale = levels[number].shape[1] / levels[0].shape[1]
        frames: list[Floats] = []
        for frame in range(len(motion.pan_x)):
            if motion.is_still and frames:
                frames.append(frames[0])
                continue
            u, v = camera.source_xy(frame, scale)
            level = levels[number]
            # OpenCV's cubic kernel takes four channels at most.
            parts = [level] if level.shape[2] <= 4 else [level[..., :3].copy(), level[..., 3:].copy()]
            moved = [cv2.remap(part, u, v, cv2.INTER_CUBIC, borderMode=border) for part in parts]
            frames.append(np.concatenate(moved, axis=2, dtype=np.float32))
        return frames

    def _radiance_shot(
        self, scene: Scene, motion: Motion, how: Degradation, rng: np.random.Generator, look_rng: np.random.Generator
    ) -> _Shot:
        picture = load_radiance(scene)
        camera = self._camera(scene, picture.levels[0], motion, rng)
        roots = self._frames(picture.levels, camera, motion, wrap=scene.equirect)
        # A still shot is one frame, many times.
        light = [from_root(root) for root in (roots[:1] if motion.is_still else roots)]
        light = light * (len(roots) // len(light))
        name, look, parameters = self._sample_look(look_rng)
        # A gain map's own peak: SDR white times its full gain.
        peak = parameters["white_nits"] * 2 ** parameters["stops"] if "stops" in parameters else None
        if peak is not None:
            peak = float(np.clip(peak, 400, 2200))
        grade = sample_grade(rng, self._grade, peak_nits=peak, brighter_stops=look.brighter_stops)
        centre = len(light) // 2
        gain = exposure_gain(_planes(light[centre]), grade)
        layers = self._layers(rng, camera, light[centre], gain, still=motion.is_still)
        if layers:
            light = [self._with_layers(frame, layers, k) for k, frame in enumerate(light)]
        exposure, varies = self._exposure(rng, len(light))
        same = motion.is_still and not varies and all(not np.ptp(layer.x) and not np.ptp(layer.y) for layer in layers)
        stack = torch.stack([_planes(frame) for frame in (light[:1] if same else light)])
        if varies:
            stack = stack * torch.from_numpy(exposure).reshape(-1, 1, 1, 1)
        nits = apply_grade(stack, grade, gain=gain)
        target = nits[0 if same else centre]
        nits = nits.clamp(max=TARGET_PEAK_NITS) if name == "youtube" else nits
        arguments: dict[str, Any] = dict(parameters)
        if look.needs_lut:
            arguments["lut"] = self._lut
        clean = nits
        if how.noise_code > 0 and how.in_light:
            nits = nits.expand(len(light), -1, -1, -1)
            noise = rng.standard_normal(tuple(nits.shape), dtype=np.float32)
            root = nits.sqrt() + (_ROOT_PER_SIGNAL * how.noise_code / 255) * torch.from_numpy(noise)
            # Signed square: noise about black keeps a mean of 0 before the curve clips it.
            nits = (root * root.abs()).clamp(min=0)
        signal = _signal(look.apply(nits, **arguments))
        frames = signal if len(signal) > 1 else signal * len(light)
        at = 0 if same else centre
        unspoilt = frames[centre] if clean is nits else _signal(look.apply(clean[at : at + 1], **arguments))[0]
        meta = {"look": name, "parameters": parameters, "grade": grade, "gain": gain, "exposure_varies": varies}
        return _Shot(
            signal=frames,
            clean=unspoilt,
            target=target,
            bars=grade.bars,
            meta=meta,
            camera=camera,
            layers=layers,
        )

    def _pair_shot(self, scene: Scene, motion: Motion, rng: np.random.Generator) -> _Shot:
        picture = load_pair(scene)
        camera = self._camera(scene, picture.levels[0], motion, rng)
        frames = self._frames(picture.levels, camera, motion, wrap=False)
        signal = [np.ascontiguousarray(frame[..., :3].clip(0, 1)) for frame in frames]
        pq = _planes(frames[len(frames) // 2][..., 3:])
        bars = float(rng.choice([0.744, 0.885])) if rng.random() < self._grade.bars_share else 1.0
        return _Shot(
            signal=signal,
            clean=signal[len(signal) // 2],
            target=pq_to_nits(pq),
            bars=bars,
            meta={"look": "phone"},
            camera=camera,
        )

    def _clip_shot(self, scene: Scene, rng: np.random.Generator, look_rng: np.random.Generator) -> _Shot:
        clip = load_clip(scene)
        count = self._config.view.frames
        if len(clip) < count:
            raise ArgumentError("clip", scene.id, f"at least {count} frames", "take it out of the data folder")
        start = int(rng.integers(len(clip) - count + 1))
        width = int(rng.choice([w for w in _CLIP_WIDTHS if w <= clip[0].shape[1]]))
        size = (width, 2 * round(width * 9 / 32))
        frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip[start : start + count]]
        nits = torch.stack([_planes(np.asarray(frame)) for frame in frames]).clamp(max=TARGET_PEAK_NITS)
        name, look, parameters = self._sample_look(look_rng)
        arguments: dict[str, Any] = dict(parameters)
        if look.needs_lut:
            arguments["lut"] = self._lut
        signal = _signal(look.apply(nits, **arguments))
        meta = {"look": name, "parameters": parameters}
        centre = count // 2
        return _Shot(signal=signal, clean=signal[centre], target=nits[centre], bars=1.0, meta=meta)

    def _sample_look(self, rng: np.random.Generator) -> tuple[str, Any, dict[str, float]]:
        name = str(rng.choice(self._look_names, p=self._look_weights))
        return name, LOOKS[name], LOOKS[name].sample(rng)

    def _exposure(self, rng: np.random.Generator, frames: int) -> tuple[Floats, bool]:
        pick, config = rng.random(), self._motion
        if pick < config.flicker_share:
            stops = rng.normal(0, config.flicker_stops, frames)
        elif pick < config.flicker_share + config.fade_share:
            stops = rng.uniform(-1, 1) * config.fade_stops * (np.arange(frames) - frames // 2) / (frames // 2)
        else:
            return np.ones(frames, np.float32), False
        return np.exp2(stops).astype(np.float32), True

    def _layers(
        self, rng: np.random.Generator, camera: Camera, light: Floats, gain: float, *, still: bool
    ) -> list[Layer]:
        config, layers = self._config.layers, []
        frames, width, height = self._config.view.frames, camera.width, camera.height
        # A still shot may have a still foreground, or one that moves before a still background.
        if rng.random() < config.cutout_share and self._textures:
            for _ in range(int(rng.integers(1, config.max_layers + 1))):
                size = int(rng.uniform(0.2, 0.6) * width)
                texture = self._texture(rng, size)
                level = float(np.exp(np.log(light.mean(axis=2)[::4, ::4] + 1e-6).mean()))
                own = float(np.exp(np.log(texture.mean(axis=2) + 1e-6).mean()))
                texture = texture * np.float32(level / own * 2 ** rng.normal(0, 1))
                rest = still and rng.random() < 0.5
                layers.append(cutout_layer(rng, config, texture, still=rest, frames=frames, width=width, height=height))
        if rng.random() < config.light_share:
            for _ in range(int(rng.integers(1, config.max_layers + 1))):
                rest = still or rng.random() < 0.3
                layers.append(
                    light_layer(rng, config, gain=gain, still=rest, frames=frames, width=width, height=height)
                )
        return layers

    def _texture(self, rng: np.random.Generator, size: int) -> Floats:
        scene = self._textures[int(rng.integers(len(self._textures)))]
        level = load_radiance(scene).levels[0]
        if scene.equirect:
            zero = np.zeros(1)
            camera = EquirectCamera(
                map_width=level.shape[1],
                width=size,
                height=size,
                fov=float(np.deg2rad(rng.uniform(20, 50))),
                yaw=float(rng.uniform(-np.pi, np.pi)),
                pitch=float(np.deg2rad(rng.uniform(-25, 25))),
                motion=Motion(pan_x=zero, pan_y=zero, log_zoom=zero, roll=zero),
            )
            u, v = camera.source_xy(0, 1.0)
            return from_root(np.asarray(cv2.remap(level, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)))
        side = int(min(size, *level.shape[:2]))
        y, x = (int(rng.integers(n - side + 1)) for n in level.shape[:2])
        patch = cv2.resize(level[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_CUBIC)
        return from_root(np.asarray(patch))

    @staticmethod
    def _with_layers(light: Floats, layers: list[Layer], frame: int) -> Floats:
        for layer in layers:
            light = composite(light, layer, frame)
        return light

    # --- cutting ---------------------------------------------------------------------------------

    def _cut(
        self,
        shot: _Shot,
        how: Degradation,
        spoil: np.random.Generator,
        rng: np.random.Generator,
        meta: dict[str, Any],
    ) -> list[Window]:
        view = self._config.view
        height, width = shot.signal[0].shape[:2]
        bar = 2 * round(height * (1 - shot.bars) / 4)
        if bar:
            shot.target = shot.target.clone()
            shot.target[:, :bar] = 0
            shot.target[:, height - bar :] = 0
            shot.signal = [_barred(frame, bar) for frame in shot.signal]
            shot.clean = _barred(shot.clean, bar)
        sdr = degrade(spoil, shot.signal, how, picture_rows=slice(bar, height - bar))
        cond = np.stack([cv2.resize(f, (view.cond_width, view.cond_height), interpolation=cv2.INTER_AREA) for f in sdr])
        target = shot.target.clamp(0, TARGET_PEAK_NITS)
        windows = []
        for _ in range(view.crops_per_view):
            x, y = self._place(rng, sdr[len(sdr) // 2])
            rows, columns = slice(y, y + view.crop_height), slice(x, x + view.crop_width)
            pq = nits_to_pq(target[:, rows, columns].double())
            box = [x / width, y / height, (x + view.crop_width) / width, (y + view.crop_height) / height]
            windows.append(
                Window(
                    sdr=np.ascontiguousarray(sdr[:, rows, columns]),
                    cond=cond,
                    hdr=np.rint(65535 * pq.permute(1, 2, 0).numpy()).astype(np.uint16),
                    clean=np.rint(65535 * shot.clean[rows, columns].clip(0, 1)).astype(np.uint16),
                    crop=np.array(box, np.float32),
                    flow=self._flow(shot, x, y, bar),
                    meta={
                        "group": self._group.name,
                        **meta,
                        "view": [width, height],
                        "bars_px": bar,
                        "moving": shot.camera is None or not _is_still(shot),
                        **shot.meta,
                        "degradation": how,
                    },
                )
            )
        return windows

    def _place(self, rng: np.random.Generator, centre: NDArray[np.uint8]) -> tuple[int, int]:
        """Of two random places the livelier one: flat sky teaches little. Even, as tiles' origins are."""
        view = self._config.view
        height, width = centre.shape[:2]
        places = []
        for _ in range(2):
            x = 2 * int(rng.integers((width - view.crop_width) // 2 + 1))
            y = 2 * int(rng.integers((height - view.crop_height) // 2 + 1))
            part = centre[y : y + view.crop_height : 4, x : x + view.crop_width : 4, 1]
            places.append((float(part.std()), x, y))
        best = max(places) if rng.random() < 0.7 else places[0]
        return best[1], best[2]

    def _flow(self, shot: _Shot, x: int, y: int, bar: int) -> NDArray[np.float16]:
        """Displacement in px from the centre frame to frame k, NaN where unknown, hidden or outside."""
        view = self._config.view
        frames = view.frames
        flow = np.full((frames, view.crop_height, view.crop_width, 2), np.nan, np.float32)
        if shot.camera is None:
            return flow.astype(np.float16)
        width, height = shot.camera.width, shot.camera.height
        py, px = np.mgrid[y : y + view.crop_height, x : x + view.crop_width].astype(np.float32)
        rows, columns = slice(y, y + view.crop_height), slice(x, x + view.crop_width)
        centre = frames // 2
        for k in range(frames):
            moved_x, moved_y = shot.camera.moved(k, px, py)
            known = np.ones(px.shape, bool)
            for number, layer in enumerate(shot.layers):
                here = layer_alpha(layer, centre, width=width, height=height)[rows, columns]
                solid = here > 0.95
                moved_x = np.where(solid, px + np.float32(layer.x[k] - layer.x[centre]), moved_x)
                moved_y = np.where(solid, py + np.float32(layer.y[k] - layer.y[centre]), moved_y)
                known = np.where(solid, True, known & (here < 0.05))
                # Who lies below a layer must not move under it.
                for later in shot.layers[number + 1 :]:
                    known &= _sampled(layer_alpha(later, k, width=width, height=height), moved_x, moved_y) < 0.05
                covered = _sampled(layer_alpha(layer, k, width=width, height=height), moved_x, moved_y)
                known &= solid | (covered < 0.05)
            inside = (moved_x >= 0) & (moved_x <= width - 1) & (moved_y >= bar) & (moved_y <= height - 1 - bar)
            in_picture = (py >= bar) & (py <= height - 1 - bar)
            dx = np.where(in_picture, moved_x - px, 0)
            dy = np.where(in_picture, moved_y - py, 0)
            known = np.where(in_picture, known & inside, True)
            flow[k] = np.where(known[..., None], np.stack([dx, dy], -1), np.nan)
        # What is left of a still camera is rounding in the rotations.
        flow[np.abs(flow) < 1e-3] = 0
        flow[centre] = 0
        return flow.astype(np.float16)


def _sampled(alpha: Floats, x: Floats, y: Floats) -> Floats:
    return np.asarray(
        cv2.remap(alpha, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    )


def _barred(frame: Floats, bar: int) -> Floats:
    frame = frame.copy()
    frame[:bar] = 0
    frame[frame.shape[0] - bar :] = 0
    return frame


def _is_still(shot: _Shot) -> bool:
    return all(np.array_equal(shot.signal[0], frame) for frame in shot.signal[1:])


def _signal(planes: Tensor) -> list[Floats]:
    return [np.ascontiguousarray(frame) for frame in planes.permute(0, 2, 3, 1).numpy()]


def _planes(image: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()


def _plain(how: Degradation) -> dict[str, Any]:
    return {name: getattr(how, name) for name in how.__struct_fields__}


def _normalised(weights: list[float]) -> NDArray[np.float64]:
    values = np.array(weights, dtype=np.float64)
    return values / values.sum()

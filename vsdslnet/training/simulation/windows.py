"""From a shot to the windows that a dataset stores: bars, degradation, crops, true motion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.color.transfer import nits_to_pq
from vsdslnet.training.config.dataset import TARGET_PEAK_NITS, ViewConfig
from vsdslnet.training.simulation.camera import Camera
from vsdslnet.training.simulation.degrade import Degradation, degrade
from vsdslnet.training.simulation.layers import Layer, layer_alpha

__all__ = ["Shot", "Window", "cut_windows"]

Floats = NDArray[np.float32]


@dataclass(kw_only=True)
class Shot:
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


@dataclass(frozen=True, kw_only=True)
class Window:
    """What a dataset stores of one window; shapes: :class:`vsdslnet.training.dataset.store.WindowDataset`."""

    sdr: NDArray[np.uint8]
    cond: NDArray[np.uint8]
    hdr: NDArray[np.uint16]
    clean: NDArray[np.uint16]
    crop: Floats
    flow: NDArray[np.float16]
    meta: dict[str, Any]


def cut_windows(
    shot: Shot,
    view: ViewConfig,
    degradation: Degradation,
    *,
    degrade_rng: np.random.Generator,
    place_rng: np.random.Generator,
    meta: dict[str, Any],
) -> list[Window]:
    """The ``crops_per_view`` windows of a shot, its SDR side degraded."""
    height, width = shot.signal[0].shape[:2]
    bar = 2 * round(height * (1 - shot.bars) / 4)
    if bar:
        shot.target = shot.target.clone()
        shot.target[:, :bar] = 0
        shot.target[:, height - bar :] = 0
        shot.signal = [_barred(frame, bar) for frame in shot.signal]
        shot.clean = _barred(shot.clean, bar)
    sdr, picture_types = degrade(degrade_rng, shot.signal, degradation, picture_rows=slice(bar, height - bar))
    cond = np.stack([cv2.resize(f, (view.cond_width, view.cond_height), interpolation=cv2.INTER_AREA) for f in sdr])
    target = shot.target.clamp(0, TARGET_PEAK_NITS)
    windows = []
    for _ in range(view.crops_per_view):
        x, y = _place(place_rng, view, sdr[len(sdr) // 2])
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
                flow=_flow(shot, view, x, y, bar),
                meta={
                    **meta,
                    "view": [width, height],
                    "bars_px": bar,
                    "moving": shot.camera is None or not _is_still(shot),
                    **shot.meta,
                    "degradation": degradation,
                    "picture_types": picture_types,
                },
            )
        )
    return windows


def _place(rng: np.random.Generator, view: ViewConfig, centre: NDArray[np.uint8]) -> tuple[int, int]:
    """Of two random places the livelier one: flat sky teaches little. Even, as tiles' origins are."""
    height, width = centre.shape[:2]
    places = []
    for _ in range(2):
        x = 2 * int(rng.integers((width - view.crop_width) // 2 + 1))
        y = 2 * int(rng.integers((height - view.crop_height) // 2 + 1))
        part = centre[y : y + view.crop_height : 4, x : x + view.crop_width : 4, 1]
        places.append((float(part.std()), x, y))
    best = max(places) if rng.random() < 0.7 else places[0]
    return best[1], best[2]


def _flow(shot: Shot, view: ViewConfig, x: int, y: int, bar: int) -> NDArray[np.float16]:
    """Displacement in px from the centre frame to frame k, NaN where unknown, hidden or outside."""
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


def _is_still(shot: Shot) -> bool:
    return all(np.array_equal(shot.signal[0], frame) for frame in shot.signal[1:])

"""What a converter must do over time, on synthetic clips, without any reference.

A ``Method`` turns an SDR window (2T+1, 3, H, W), R'G'B' 0..1, into PQ (3, H, W). Codes are 10-bit
limited-range PQ codes of luminance, as fractions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from vsdslnet.color.sdr_to_hdr import plain_pq
from vsdslnet.training.evaluation.metrics import luminance_codes
from vsdslnet.training.evaluation.self_checks import Method, still, textured_scene

__all__ = [
    "PROMISES",
    "Entrance",
    "clip_windows",
    "entering_object",
    "entrances",
    "fade",
    "flash",
    "over_time",
    "static_noise",
]

_CODES = "codes of 10 bits"

PROMISES: dict[str, tuple[str, float, str]] = {
    "noise_ratio_to_plain": ("still scene under noise, deviation over time", 1.5, "x plain conversion's"),
    "untouched_mean_codes": ("object enters, untouched side shifts, mean", 4, _CODES),
    "untouched_max_codes": ("object enters, untouched side shifts, any pixel", 8, _CODES),
    "beside_flash_mean_codes": ("flash, frames beside it shift, mean", 4, _CODES),
    "beside_flash_max_codes": ("flash, frames beside it shift, any pixel", 8, _CODES),
    "fade_rise_mean_codes": ("fade to black, rise on the way, mean", 0.5, _CODES),
    # A pixel may follow the frame as it may when something enters; the picture as a whole only falls.
    "fade_rise_max_codes": ("fade to black, rise on the way, any pixel", 8, _CODES),
    "fade_step_ratio": ("fade to black, largest step of the mean", 2.5, "x plain conversion's"),
}
"""By the name of what :func:`over_time` measures: words, bound, unit. What a viewer sees of the whole frame's
statistics; peers reach 59 codes when an object enters."""

_SCENE_SIZE = (64, 320)
_WIDE_PX = 480
"""Wide enough that what is read lies beyond the reach of any local layer (120 px) from the object."""
_OBJECT_PX = 120
_DIM, _BRIGHT = 0.15, 0.6
"""Levels of a scene by night and by day; 1 is the textured scene itself."""
_WHITE = (1.0, 1.0, 1.0)


class Entrance(NamedTuple):
    """Something comes into a scene from the right.

    ``light``             R, G, B factors on the textured scene of ``seed``: its level, and the colour of its light.
    ``columns_a_frame``   how fast.
    ``color``             R'G'B' of what comes.
    """

    light: tuple[float, float, float]
    columns_a_frame: int
    color: tuple[float, float, float] = _WHITE
    seed: int = 11


def entrances(count: int) -> list[Entrance]:
    """White into a dim and a bright scene, slowly, and at once into a dim one; the rest drawn, the same every time.

    Scenes from deep night to full level, in light of any colour; white, black and coloured things, slow and sudden.
    """
    known = [Entrance((level,) * 3, columns) for level, columns in ((_DIM, 30), (_BRIGHT, 30), (_DIM, _OBJECT_PX))]
    generator = torch.Generator().manual_seed(20)
    drawn = []
    for seed in range(max(0, count - len(known))):
        level, kind, speed, *tint = torch.rand(6, generator=generator).tolist()
        light = [0.06 * 16**level * (0.55 + 0.45 * part) for part in tint]
        thing = _WHITE if kind < 0.4 else (0.0, 0.0, 0.0) if kind < 0.6 else tuple(torch.rand(3, generator=generator))
        columns = (20, 40, 60, _OBJECT_PX)[int(4 * speed)]
        drawn.append(Entrance((light[0], light[1], light[2]), columns, (*map(float, thing),), seed))  # type: ignore[arg-type]
    return [*known, *drawn][:count]


_FADE_FRAMES = 24
_FLASH = 0.7


def over_time(
    method: Method, radius_frames: int, *, scenes: int = 3, size: tuple[int, int] | None = None
) -> dict[str, float]:
    """Everything in :data:`PROMISES`, an object entering so many ``scenes``.

    ``size``, (height, width) in pixels, is that of the other scenes, and its height that of those too.
    """
    size = size or _SCENE_SIZE
    found = static_noise(method, radius_frames, size=size)
    found |= entering_object(method, radius_frames, scenes=scenes, height=size[0])
    found |= flash(method, radius_frames, size=size)
    return found | fade(method, radius_frames, size=size)


def clip_windows(clip: Tensor, radius_frames: int) -> Iterator[Tensor]:
    """Every frame's window of a clip (N, 3, H, W); ends repeat their frame."""
    last = len(clip) - 1
    for n in range(len(clip)):
        yield clip[[min(max(n + k, 0), last) for k in range(-radius_frames, radius_frames + 1)]]


def static_noise(
    method: Method, radius_frames: int, *, noise_codes: float = 1.0, size: tuple[int, int] = _SCENE_SIZE
) -> dict[str, float]:
    """A still scene under source noise: how much does the output flicker, and against plain conversion?

    ``noise_codes`` is the noise's deviation in 8-bit codes. Deviations are over time, mean over pixels.
    """
    generator = torch.Generator().manual_seed(7)
    frames = 2 * radius_frames + 5
    noise = noise_codes / 255 * torch.randn((frames, 3, *size), generator=generator)
    clip = ((textured_scene(size) + noise).clamp(0, 1) * 255).round() / 255
    inner = slice(radius_frames, frames - radius_frames)
    out = [method(window) for window in list(clip_windows(clip, radius_frames))[inner]]
    deviation = luminance_codes(torch.stack(out)).std(dim=0).mean()
    plain = luminance_codes(plain_pq(clip[inner])).std(dim=0).mean()
    return {
        "noise_deviation_codes": float(deviation),
        "noise_ratio_to_plain": float(deviation / plain),
    }


def entering_object(
    method: Method, radius_frames: int, *, scenes: int = 3, height: int = _SCENE_SIZE[0]
) -> dict[str, float]:
    """An object enters from the right and fills a quarter: how far does the left half move?

    From each frame to the next, worst of so many :func:`entrances`. ``mean`` is the largest mean shift, ``max`` the
    largest of any pixel.
    """
    shifts: list[Tensor] = []
    for entrance in entrances(scenes):
        clip = _entrance(entrance, radius_frames, height)
        left = [luminance_codes(method(w))[:, : _WIDE_PX // 2] for w in clip_windows(clip, radius_frames)]
        shifts += [(b - a).abs() for a, b in pairwise(left)]
    return _worst("untouched", shifts)


def _entrance(entrance: Entrance, radius_frames: int, height: int) -> Tensor:
    """The scene until no window sees the object, the object's way in, and one frame of rest."""
    way_frames = _OBJECT_PX // entrance.columns_a_frame
    light, color = (torch.tensor(values)[:, None, None] for values in (entrance.light, entrance.color))
    clip = (light * textured_scene((height, _WIDE_PX), seed=entrance.seed)).repeat(
        radius_frames + 1 + way_frames + radius_frames, 1, 1, 1
    )
    for n in range(radius_frames + 1, len(clip)):
        reach = min(entrance.columns_a_frame * (n - radius_frames), _OBJECT_PX)
        clip[n, :, 8 : height - 8, _WIDE_PX - reach :] = color
    return clip


def flash(method: Method, radius_frames: int, *, size: tuple[int, int] = _SCENE_SIZE) -> dict[str, float]:
    """One frame of a still scene is lit by a flash: how far do its neighbours move, which are not?

    Worst of the frames around it whose windows see it, for a dim and for a bright scene, against the scene
    without a flash.
    """
    shifts: list[Tensor] = [torch.zeros(1)]
    for level in (_DIM, _BRIGHT):
        scene = level * textured_scene(size)
        quiet = luminance_codes(method(still(scene, radius_frames)))
        for at in range(2 * radius_frames + 1):
            if at == radius_frames:
                continue
            window = still(scene, radius_frames).clone()
            window[at] = torch.lerp(window[at], torch.ones(()), _FLASH)
            shifts.append((luminance_codes(method(window)) - quiet).abs())
    return _worst("beside_flash", shifts)


def fade(method: Method, radius_frames: int, *, size: tuple[int, int] = _SCENE_SIZE) -> dict[str, float]:
    """A scene fades to black in 24 frames: does anything get brighter on the way, and is the way even?

    ``mean`` is the largest rise of the frame's mean between two frames, ``max`` that of any pixel.
    ``fade_step_ratio`` is the largest fall of the mean over that of the plain conversion of the same frames.
    """
    levels = torch.linspace(1, 0, _FADE_FRAMES)[:, None, None, None]
    clip = levels * textured_scene(size)
    codes = torch.stack([luminance_codes(method(w)) for w in clip_windows(clip, radius_frames)])
    falls = -codes.mean(dim=(1, 2)).diff()
    plain_falls = -luminance_codes(plain_pq(clip)).mean(dim=(1, 2)).diff()
    return {
        "fade_rise_mean_codes": float((-falls).clamp(min=0).max()),
        "fade_rise_max_codes": float(codes.diff(dim=0).clamp(min=0).max()),
        "fade_step_ratio": float((falls / plain_falls).max()),
    }


def _worst(prefix: str, shifts: Iterable[Tensor]) -> dict[str, float]:
    shifts = list(shifts)
    return {
        f"{prefix}_mean_codes": max(float(shift.mean()) for shift in shifts),
        f"{prefix}_max_codes": max(float(shift.max()) for shift in shifts),
    }

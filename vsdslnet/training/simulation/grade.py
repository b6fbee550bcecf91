"""A simulated colourist: linear radiance -> the light of an HDR10 master (cd/m², BT.2020).

Pure functions of (light, parameters); the parameters come from a seeded generator.
"""

from __future__ import annotations

import msgspec
import numpy as np
import torch
from torch import Tensor

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import BT709_LUMA, BT2020_LUMA, apply_matrix, rgb_to_rgb
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS
from vsdslnet.training.config.dataset import GradeConfig

__all__ = ["Grade", "apply_grade", "exposure_gain", "luma_of", "sample_grade", "shoulder"]


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """One grade; the meaning of each number is in :func:`apply_grade`."""

    anchor: str
    """``logmean``: the scene's log-mean goes to ``anchor_nits``; ``white``: its ``quantile`` does."""
    anchor_nits: float
    quantile: float
    contrast: float
    pivot_nits: float
    saturation: float
    gamut: str
    """Primaries the light is stretched towards: ``bt709``, ``p3`` or ``bt2020``."""
    gamut_amount: float
    cast: tuple[float, float, float]
    crush_nits: float
    knee: float
    peak_nits: float
    per_channel: bool
    bars: float
    """Height of the picture between black bars, as a share; 1 has none."""
    style: str


def sample_grade(
    rng: np.random.Generator, config: GradeConfig, *, peak_nits: float | None = None, brighter_stops: float = 0.0
) -> Grade:
    """Draw a grade. ``peak_nits`` and ``brighter_stops`` come from the SDR look, where it implies them."""
    has_bars = rng.random() < config.bars_share
    pick = rng.random()
    night = pick < config.night_share or (has_bars and rng.random() < config.bars_lowkey_share)
    high_key = not night and pick > 1 - config.high_key_share
    style = "night" if night else "high_key" if high_key else "normal"
    shift = brighter_stops + {"night": config.night_stops, "high_key": config.high_key_stops, "normal": 0.0}[style]
    if rng.random() < config.logmean_share:
        anchor, nits = "logmean", config.logmean_nits * 2 ** (rng.normal(0, config.logmean_sd_stops) + shift)
    else:
        anchor, nits = "white", GRAPHICS_WHITE_NITS * 2 ** (rng.normal(0, config.white_sd_stops) + shift)
    gamut, amount = "bt709", 0.0
    if rng.random() < config.wide_gamut_share:
        gamut, amount = ("p3", "bt2020")[int(rng.random() < 0.5)], float(rng.uniform(0.2, 1))
    cast_sd = 0.35 if rng.random() < config.strong_cast_share else config.cast_sd
    red, blue = np.exp(rng.normal(0, cast_sd, 2))
    peaks = [float(peak) for peak in config.peaks_nits]
    weights = np.array(list(config.peaks_nits.values()))
    drawn_peak = float(rng.choice(peaks, p=weights / weights.sum()))
    crush = rng.random() < config.crush_share
    return Grade(
        anchor=anchor,
        anchor_nits=float(nits),
        quantile=float(rng.uniform(*config.white_quantile)),
        contrast=float(rng.uniform(*config.contrast)),
        pivot_nits=config.contrast_pivot_nits,
        saturation=float(rng.uniform(*config.saturation)),
        gamut=gamut,
        gamut_amount=amount,
        cast=(float(red), 1.0, float(blue)),
        crush_nits=float(rng.uniform(*config.crush_nits)) if crush or night else 0.0,
        knee=float(rng.uniform(*config.shoulder)),
        peak_nits=drawn_peak if peak_nits is None else peak_nits,
        per_channel=bool(rng.random() < 0.5),
        bars=float(rng.choice([0.744, 0.75, 0.885, 0.68])) if has_bars else 1.0,
        style=style,
    )


def luma_of(light: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """Luminance (..., 1, H, W) of linear planes (..., 3, H, W)."""
    r, g, b = light.unbind(-3)
    return (weights[0] * r + weights[1] * g + weights[2] * b).unsqueeze(-3)


def exposure_gain(light: Tensor, grade: Grade) -> float:
    """Factor from the scene's units to cd/m²: one number for the whole shot, measured on its centre frame."""
    luma = luma_of(light, BT709_LUMA).flatten()[::3]
    if grade.anchor == "white":
        level = float(torch.quantile(luma, grade.quantile))
    else:
        # A small floor: true black (bars, lens caps) must not blow the rest up.
        level = float((luma + 1e-3 * luma.mean() + 1e-9).log().mean().exp())
    # Between the two anchors no shot leaves the range graders use: median 0.1..600 nits.
    gain = grade.anchor_nits / max(level, 1e-9)
    middle = gain * float(luma.median())
    return float(gain * np.clip(middle, 0.05, 600) / max(middle, 1e-9))


def shoulder(value: Tensor, *, knee_nits: float, peak_nits: float) -> Tensor:
    """Identity up to the knee, then an exponential approach to the peak; slope 1 at the knee."""
    room = peak_nits - knee_nits
    bent = knee_nits + room * (1 - torch.exp(-(value - knee_nits).clamp(min=0) / room))
    return torch.where(value > knee_nits, bent, value)


def apply_grade(light: Tensor, grade: Grade, *, gain: float) -> Tensor:
    """Linear BT.709 (..., 3, H, W) in scene units -> BT.2020 light 0..``grade.peak_nits`` cd/m².

    In order: exposure and white balance; contrast about the pivot on luminance; crushed black;
    primaries stretched (BT.709 numbers read as wider primaries); saturation; highlight shoulder.
    """
    nits = light * (gain * torch.tensor(grade.cast, dtype=light.dtype).reshape(3, 1, 1))
    luma = luma_of(nits, BT709_LUMA).clamp(min=1e-6)
    graded = grade.pivot_nits * (luma / grade.pivot_nits).pow(grade.contrast)
    # A toe that reaches true black: subtracts near black, leaves the rest alone.
    if grade.crush_nits > 0:
        graded = graded - grade.crush_nits * graded / (graded + grade.crush_nits) * 2
        graded = graded.clamp(min=0)
    nits = nits * (graded / luma)
    nits = apply_matrix(_stretch(grade.gamut, grade.gamut_amount), nits)
    luma = luma_of(nits, BT2020_LUMA)
    nits = (luma + grade.saturation * (nits - luma)).clamp(min=0)
    knee = grade.knee * grade.peak_nits
    if grade.per_channel:
        return shoulder(nits, knee_nits=knee, peak_nits=grade.peak_nits)
    top = nits.amax(dim=-3, keepdim=True).clamp(min=1e-6)
    return nits * (shoulder(top, knee_nits=knee, peak_nits=grade.peak_nits) / top)


def _stretch(gamut: str, amount: float) -> Tensor:
    plain = rgb_to_rgb(Primaries.BT709, Primaries.BT2020)
    if gamut == "p3":
        wide = rgb_to_rgb(Primaries.ST432_1, Primaries.BT2020)
    elif gamut == "bt2020":
        wide = torch.eye(3, dtype=torch.float64)
    else:
        return plain
    return (1 - amount) * plain + amount * wide

"""HDR master -> SDR: the conversions real SDR versions were made with, each a pure named function.

A look takes BT.2020 light (frames, 3, H, W) in cd/m² and returns the SDR signal 0..1 in BT.709; its
parameters are drawn from a seeded generator and kept in the window's metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vsdslnet.color.hdr_to_sdr import (
    bt2020_signal_to_bt709,
    bt2390_eetf,
    bt2446a_sdr,
    bt2446c_sdr,
    into_bt709,
)
from vsdslnet.color.primaries import BT709_LUMA, BT2020_LUMA
from vsdslnet.color.transfer import (
    GRAPHICS_WHITE_NITS,
    bt1886_to_linear,
    linear_to_bt1886,
    linear_to_srgb,
)
from vsdslnet.training.simulation.aces import aces_sdr
from vsdslnet.training.simulation.curves import base_stops, colourist_table, gainmap_table, lookup
from vsdslnet.training.simulation.grade import luma_of
from vsdslnet.training.simulation.table_looks import broadcast, youtube

__all__ = ["LOOKS", "Look", "Parameters"]

Parameters = dict[str, float]
Sampler = Callable[[np.random.Generator], Parameters]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One conversion: how its parameters are drawn and how they are applied."""

    sample: Sampler
    apply: Callable[..., Tensor]
    brighter_stops: float = 0.0
    """How much brighter the masters are that this conversion is met with."""
    lut: str = ""
    """Of a conversion that is a table: the key of the recipe that says where it lies."""


def _signal_by_curve(nits: Tensor, table: Tensor, *, per_channel: float, desaturate: float, chroma: float) -> Tensor:
    """Apply light -> SDR signal partly on luminance (keeps hue), partly on each channel (bleaches)."""
    rgb = into_bt709(nits, desaturate=desaturate)
    parts = torch.zeros_like(rgb)
    if per_channel > 0:
        parts = parts + per_channel * lookup(table, rgb)
    if per_channel < 1:
        luma = luma_of(rgb, BT709_LUMA).clamp(min=1e-5)
        light = bt1886_to_linear(lookup(table, luma))
        scaled = light + chroma * (rgb * (light / luma) - light)
        # What leaves the cube at the top goes half way to its own grey, then is clipped.
        over = (scaled.amax(dim=-3, keepdim=True) - 1).clamp(min=0)
        scaled = scaled + (light - scaled) * (0.5 * over / (over + 0.5))
        parts = parts + (1 - per_channel) * linear_to_bt1886(scaled.clamp(0, 1))
    return parts


def _compress_locally(nits: Tensor, strength: float, pivot_nits: float = 60.0) -> Tensor:
    if strength <= 0:
        return nits
    base = base_stops(nits) - float(np.log2(pivot_nits))
    return nits * torch.exp2(-strength * base.clamp(-6, 5))


def _sample_colourist(rng: np.random.Generator) -> Parameters:
    return {
        # About the measured base, as far as real pairs lie from it (0.5 stops in the mid-tones, 0.6 in highlights).
        "gain_stops": float(rng.normal(0, 0.5)),
        "tilt_stops": float(rng.normal(0, 0.4)),
        "mid_stops": float(rng.normal(0, 0.25)),
        "local": float(rng.uniform(0.08, 0.35)) if rng.random() < 1 / 3 else 0.0,
        "per_channel": float(rng.choice([0.0, 0.5, 1.0])),
        "desaturate": float(rng.choice([0.0, 0.5, 1.0])),
        "chroma": float(rng.uniform(0.9, 1.1)),
    }


def colourist(
    nits: Tensor,
    *,
    gain_stops: float,
    tilt_stops: float,
    mid_stops: float,
    local: float,
    per_channel: float,
    desaturate: float,
    chroma: float,
) -> Tensor:
    """A film or series graded by hand: a random curve about the measured base, a third with local tone mapping."""
    table = colourist_table(gain_stops=gain_stops, tilt_stops=tilt_stops, mid_stops=mid_stops)
    mapped = _compress_locally(nits, local)
    return _signal_by_curve(mapped, table, per_channel=per_channel, desaturate=desaturate, chroma=chroma)


def _sample_gainmap(rng: np.random.Generator) -> Parameters:
    return {
        "stops": float(rng.uniform(0.8, 3.4)),
        # Phones start late (their code 118 is 40 cd/m²), editors early (up to 87).
        "low": float(rng.uniform(0, 0.32)),
        "high": float(rng.uniform(0.88, 1.05)),
        "white_nits": float(GRAPHICS_WHITE_NITS * 2 ** rng.normal(0, 0.12)),
        "local": 0.0,
        "chroma": float(rng.uniform(0.92, 1.12)),
    }


def _sample_gainmap_local(rng: np.random.Generator) -> Parameters:
    return {**_sample_gainmap(rng), "local": float(rng.uniform(0.3, 0.95))}


def gainmap(
    nits: Tensor, *, stops: float, low: float, high: float, white_nits: float, local: float, chroma: float
) -> Tensor:
    """A gain-map photograph: sRGB-coded SDR with white at ``white_nits``; HDR = SDR x 2^(stops x smoothstep).

    With ``local`` the gain follows the neighbourhood's brightness instead of the pixel's own.
    """
    table = gainmap_table(stops=stops, low=low, high=high, white_nits=white_nits)
    luma = luma_of(nits, BT2020_LUMA).clamp(min=1e-4)
    level = luma
    if local > 0:
        level = torch.exp2((1 - local) * luma.log2() + local * base_stops(nits))
    light = nits * torch.exp2(-lookup(table, level)) / white_nits
    grey = luma_of(light, BT2020_LUMA)
    return linear_to_srgb(into_bt709((grey + chroma * (light - grey)).clamp(min=0)).clamp(0, 1))


def _sample_editor(rng: np.random.Generator) -> Parameters:
    return {
        **_sample_gainmap(rng),
        "stops": float(rng.uniform(1.2, 2.8)),
        "base": float(rng.uniform(0.08, 0.3)),
        "clarity": float(rng.uniform(0, 0.35)),
        "chroma": float(rng.uniform(0.95, 1.25)),
        "local": float(rng.uniform(0, 0.5)),
    }


def editor(nits: Tensor, *, base: float, clarity: float, **rest: float) -> Tensor:
    """A photo editor's look: the base layer compressed, the detail pushed, then a gain-map rendition."""
    layer = base_stops(nits, edge_stops=0.5)
    detail = luma_of(nits, BT2020_LUMA).clamp(min=0.01).log2() - layer
    change = clarity * detail.clamp(-2, 2) - base * (layer - float(np.log2(60.0))).clamp(-5, 4)
    return gainmap(nits * torch.exp2(change), **rest)


def _sample_filmic(rng: np.random.Generator) -> Parameters:
    return {"exposure_stops": float(rng.normal(0.3, 0.5)), "white": float(rng.uniform(4, 12))}


def filmic(nits: Tensor, *, exposure_stops: float, white: float) -> Tensor:
    """The filmic curve of games and renderers (Hable's, per channel) over light relative to 203 cd/m²."""
    light = into_bt709(nits) * (2**exposure_stops / GRAPHICS_WHITE_NITS)

    def hable(x: Tensor) -> Tensor:
        return (x * (0.15 * x + 0.05) + 0.004) / (x * (0.15 * x + 0.5) + 0.06) - 0.004 / 0.06

    return linear_to_srgb((hable(2 * light) / hable(torch.tensor(2 * white))).clamp(0, 1))


def _sample_reinhard(rng: np.random.Generator) -> Parameters:
    return {"exposure_stops": float(rng.normal(0.1, 0.5)), "white": float(rng.uniform(2, 8))}


def reinhard(nits: Tensor, *, exposure_stops: float, white: float) -> Tensor:
    """Reinhard's extended curve on luminance over light relative to 203 cd/m²."""
    light = into_bt709(nits, desaturate=0.5) * (2**exposure_stops / GRAPHICS_WHITE_NITS)
    luma = luma_of(light, BT709_LUMA).clamp(min=1e-6)
    mapped = luma * (1 + luma / white**2) / (1 + luma)
    return linear_to_bt1886((light * (mapped / luma)).clamp(0, 1))


def _sample_hard_clip(rng: np.random.Generator) -> Parameters:
    return {"white_nits": float(np.exp(rng.uniform(np.log(100), np.log(400))))}


def hard_clip(nits: Tensor, *, white_nits: float) -> Tensor:
    """No tone mapping: light above ``white_nits`` is clipped, colours outside BT.709 too."""
    return linear_to_bt1886((into_bt709(nits) / white_nits).clamp(0, 1))


def _sample_bt2446a(rng: np.random.Generator) -> Parameters:
    return {"peak_nits": float(rng.choice([1000.0, 1000.0, 1000.0, 1500.0]))}


def bt2446a(nits: Tensor, *, peak_nits: float) -> Tensor:
    """BT.2446-1 method A, then BT.709."""
    return bt2020_signal_to_bt709(bt2446a_sdr(nits, peak_nits=peak_nits))


def _sample_bt2446c(rng: np.random.Generator) -> Parameters:
    return {"crosstalk": float(rng.uniform(0, 0.1)), "white": float(rng.choice([1.0, 1.18]))}


def bt2446c(nits: Tensor, *, crosstalk: float, white: float) -> Tensor:
    """BT.2446-1 method C, then BT.709; ``white`` is the SDR light that becomes signal 1 (1, or 1.18 for all of it)."""
    return linear_to_bt1886((into_bt709(bt2446c_sdr(nits, crosstalk=crosstalk)) / white).clamp(0, 1))


def _sample_bt2390(rng: np.random.Generator) -> Parameters:
    return {
        "target_nits": float(rng.choice([100.0, 203.0, 203.0, 250.0])),
        "per_channel": float(rng.choice([0.0, 1.0])),
        "desaturate": float(rng.uniform(0.3, 1)),
    }


def bt2390(nits: Tensor, *, target_nits: float, per_channel: float, desaturate: float) -> Tensor:
    """BT.2390's EETF to an SDR peak (players and converters), with gamut compression."""
    if per_channel:
        mapped = bt2390_eetf(nits, source_nits=1000, target_nits=target_nits)
    else:
        top = nits.amax(dim=-3, keepdim=True).clamp(min=1e-5)
        mapped = nits * (bt2390_eetf(top, source_nits=1000, target_nits=target_nits) / top)
    return linear_to_bt1886((into_bt709(mapped, desaturate=desaturate) / target_nits).clamp(0, 1))


def _sample_apple(rng: np.random.Generator) -> Parameters:
    return {
        "stops": float(rng.uniform(1, 2.4)),
        "low": float(rng.uniform(0.35, 0.6)),
        "high": float(rng.uniform(0.95, 1.1)),
        "white_nits": GRAPHICS_WHITE_NITS,
        "local": float(rng.uniform(0, 0.7)),
        "chroma": float(rng.uniform(0.97, 1.05)),
    }


LOOKS: dict[str, Look] = {
    "colourist": Look(sample=_sample_colourist, apply=colourist, brighter_stops=0.4),
    "gainmap": Look(sample=_sample_gainmap, apply=gainmap, brighter_stops=0.9),
    "gainmap_local": Look(sample=_sample_gainmap_local, apply=gainmap, brighter_stops=0.9),
    "editor": Look(sample=_sample_editor, apply=editor, brighter_stops=0.9),
    "filmic": Look(sample=_sample_filmic, apply=filmic),
    "reinhard": Look(sample=_sample_reinhard, apply=reinhard),
    "youtube": Look(sample=lambda rng: {}, apply=youtube, lut="youtube_lut"),
    "broadcast": Look(sample=lambda rng: {}, apply=broadcast, lut="broadcast_lut"),
    "aces": Look(sample=lambda rng: {}, apply=aces_sdr),
    "apple": Look(sample=_sample_apple, apply=gainmap, brighter_stops=0.6),
    "bt2446a": Look(sample=_sample_bt2446a, apply=bt2446a),
    "bt2446c": Look(sample=_sample_bt2446c, apply=bt2446c),
    "bt2390": Look(sample=_sample_bt2390, apply=bt2390),
    "hard_clip": Look(sample=_sample_hard_clip, apply=hard_clip),
}
"""Every conversion by the name the recipe uses."""

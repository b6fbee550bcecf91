"""Curves on light by table, and the edge-aware base layer that local tone mapping works on."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.color.measured import curve_nits
from vsdslnet.color.primaries import BT2020_LUMA
from vsdslnet.color.transfer import PQ_MAX_NITS, srgb_to_linear
from vsdslnet.training.simulation.grade import luma_of

__all__ = ["base_stops", "colourist_table", "gainmap_stops", "gainmap_table", "lookup", "smoothstep", "tabulate"]

_ENTRIES = 4096


def _grid_nits() -> NDArray[np.float64]:
    return PQ_MAX_NITS * (np.arange(_ENTRIES) / (_ENTRIES - 1)) ** 4


def tabulate(curve: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Tensor:
    """A function of light (cd/m², 0..10000) as a table on a fourth-root axis, for :func:`lookup`."""
    return torch.from_numpy(curve(_grid_nits()).astype(np.float32))


def lookup(table: Tensor, nits: Tensor) -> Tensor:
    """Linear interpolation in a table of :func:`tabulate`; beyond 10000 cd/m² it stays at the end."""
    position = (nits.clamp(0, PQ_MAX_NITS) / PQ_MAX_NITS).sqrt().sqrt() * (_ENTRIES - 1)
    index = position.to(torch.int32).clamp(max=_ENTRIES - 2).long()
    low = table[index]
    return low + (table[index + 1] - low) * (position - index)


def smoothstep(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """3v² - 2v³ on 0..1, clamped outside."""
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)


def _inverse(nits_of_code: NDArray[np.float64], codes: NDArray[np.float64]) -> Tensor:
    """Table light -> code from a curve code -> light, made strictly rising first."""
    rising = np.maximum.accumulate(nits_of_code) + 1e-9 * np.arange(len(codes))
    return tabulate(lambda nits: np.interp(nits, rising, codes))


def colourist_table(*, gain_stops: float, tilt_stops: float, mid_stops: float) -> Tensor:
    """Light -> SDR signal of a grade by hand, spread about the measured base.

    ``gain`` shifts all the light over SDR, ``tilt`` the white against the black, ``mid`` the middle.
    """
    codes = np.linspace(0, 1, 1024)
    nits = curve_nits(torch.from_numpy(codes)).numpy()
    stops = gain_stops + tilt_stops * 2 * (codes - 0.5) + mid_stops * np.exp(-(((codes - 0.5) / 0.22) ** 2))
    return _inverse(nits * 2**stops, codes)


def gainmap_stops(code: NDArray[np.float64], *, stops: float, low: float, high: float) -> NDArray[np.float64]:
    """Gain of a gain-map photograph over its sRGB-coded SDR signal: rises from ``low`` to ``high``."""
    return stops * smoothstep((code - low) / (high - low))


def gainmap_table(*, stops: float, low: float, high: float, white_nits: float) -> Tensor:
    """HDR light -> stops between it and its SDR rendition, the inverse of SDR x 2^gain."""
    codes = np.linspace(0, 1, 2048)
    linear = srgb_to_linear(torch.from_numpy(codes)).numpy() * white_nits
    gain = gainmap_stops(codes, stops=stops, low=low, high=high)
    nits = np.maximum.accumulate(linear * 2**gain) + 1e-9 * np.arange(len(codes))
    return tabulate(lambda light: np.interp(light, nits, gain))


def base_stops(nits: Tensor, *, radius_share: float = 0.08, edge_stops: float = 0.8) -> Tensor:
    """Large-scale brightness (frames, 1, H, W) in stops (log2 cd/m²), with edges kept: a fast guided filter.

    ``radius_share`` of the width is the neighbourhood; steps above ``edge_stops`` count as edges.
    """
    luma = luma_of(nits, BT2020_LUMA).clamp(min=0.01).log2().numpy()[:, 0]
    height, width = luma.shape[1:]
    shrink = max(1, width // 128)
    small_size = (max(width // shrink, 8), max(height // shrink, 8))
    window = (2 * max(int(radius_share * small_size[0]), 1) + 1,) * 2
    planes = []
    for frame in luma:
        small = cv2.resize(frame, small_size, interpolation=cv2.INTER_AREA)
        mean = cv2.blur(small, window)
        variance = cv2.blur(small * small, window) - mean * mean
        a = np.maximum(variance, 0) / (np.maximum(variance, 0) + edge_stops**2)
        b = mean * (1 - a)
        a = cv2.resize(cv2.blur(a, window), (width, height), interpolation=cv2.INTER_LINEAR)
        b = cv2.resize(cv2.blur(b, window), (width, height), interpolation=cv2.INTER_LINEAR)
        planes.append(a * frame + b)
    return torch.from_numpy(np.stack(planes)[:, None].astype(np.float32))

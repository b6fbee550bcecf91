"""One still picture as SDR R'G'B' or as PQ, as its file's own tags say; every refusal is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vsdslnet.color.h273 import Primaries, Transfer
from vsdslnet.color.primaries import CHROMATICITIES, convert
from vsdslnet.color.transfer import (
    GRAPHICS_WHITE_NITS,
    hlg_to_nits,
    linear_to_srgb,
    nits_to_pq,
    pq_to_nits,
    srgb_to_linear,
)
from vsdslnet.errors import MediaError
from vsdslnet.stills.files import Still, open_still
from vsdslnet.stills.radiance import read_radiance

__all__ = ["HDR_SUFFIXES", "RADIANCE_SUFFIXES", "SDR_SUFFIXES", "planes_of", "read_hdr", "read_sdr"]

RADIANCE_SUFFIXES = frozenset({".exr", ".hdr"})
_CODED_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".avif", ".heic", ".heif", ".hif"})
SDR_SUFFIXES = _CODED_SUFFIXES | {".jpg", ".jpeg"}
HDR_SUFFIXES = _CODED_SUFFIXES | RADIANCE_SUFFIXES

_LEAST_HDR_BITS = 10
_SDR_TRANSFERS = frozenset({Transfer.BT709, Transfer.ST170M, Transfer.SRGB, Transfer.BT2020_10, Transfer.BT2020_12})


def read_sdr(path: Path) -> Tensor:
    """R'G'B' 0..1 of BT.709 (3, H, W) fp32, as sRGB shows it; MediaError if there is no such picture in the file.

    Other primaries that the file says are converted in light and cut at BT.709's.
    """
    still = open_still(path)
    if still.transfer in (Transfer.PQ, Transfer.HLG):
        raise MediaError(f"{path.name} says that it is HDR ({still.transfer.name}): name it on the HDR side")
    signal = planes_of(still.signal)
    primaries = _primaries_of(path, still, Primaries.BT709)
    if primaries is Primaries.BT709:
        return signal
    return linear_to_srgb(convert(srgb_to_linear(signal), primaries, Primaries.BT709).clamp(0, 1))


def read_hdr(path: Path) -> Tensor:
    """PQ BT.2020 0..1 (3, H, W) fp32; MediaError if there is no such picture in the file.

    OpenEXR and Radiance: linear light, 1.0 at 203 cd/m² (BT.2408). Others: codes of 10 bits or more, PQ of BT.2020
    unless the file says otherwise (PNG's cICP, AVIF's and HEIF's nclx); HLG as a display of 1000 cd/m² shows it.
    """
    if path.suffix.lower() in RADIANCE_SUFFIXES:
        light = planes_of(read_radiance(path, primaries=Primaries.BT2020))
        return nits_to_pq(GRAPHICS_WHITE_NITS * light)
    still = open_still(path)
    if still.transfer in _SDR_TRANSFERS:
        raise MediaError(f"{path.name} says that it is SDR ({still.transfer.name}), PQ or HLG is wanted")
    if still.bits < _LEAST_HDR_BITS:
        raise MediaError(
            f"{path.name} has {still.bits} bits a channel: PQ needs {_LEAST_HDR_BITS} (is it the SDR side?)"
        )
    if still.transfer not in (Transfer.PQ, Transfer.HLG, Transfer.UNSPECIFIED):
        raise MediaError(f"{path.name} says transfer {int(still.transfer)}: PQ (16) or HLG (18) is wanted")
    signal = planes_of(still.signal)
    if still.transfer is Transfer.UNSPECIFIED:
        return signal
    primaries = _primaries_of(path, still, Primaries.BT2020)
    if still.transfer is Transfer.PQ and primaries is Primaries.BT2020:
        return signal
    nits = hlg_to_nits(signal) if still.transfer is Transfer.HLG else pq_to_nits(signal)
    return nits_to_pq(convert(nits, primaries, Primaries.BT2020).clamp(min=0))


def _primaries_of(path: Path, still: Still, otherwise: Primaries) -> Primaries:
    if still.primaries is Primaries.UNSPECIFIED:
        return otherwise
    if still.primaries not in CHROMATICITIES:
        raise MediaError(f"{path.name} says primaries {int(still.primaries)}, which are not read")
    return still.primaries


def planes_of(picture: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
    """A picture (H, W, 3) of any numbers -> its planes (3, H, W), fp32, its numbers as they are."""
    return torch.from_numpy(np.ascontiguousarray(picture, dtype=np.float32)).movedim(-1, 0).contiguous()

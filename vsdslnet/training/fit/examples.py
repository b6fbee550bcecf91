"""Examples of a grade: the same picture in SDR and in HDR, from stills, gain-map photographs or two versions of a film.

Every reader says in one line what it could not read, before anything is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import convert
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS, nits_to_pq
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.training.material.gainmap import read_gainmap_photo
from vsdslnet.training.material.png import read_rgb
from vsdslnet.training.material.radiance import read_radiance
from vsdslnet.training.material.video_read import VideoFile
from vsdslnet.training.material.video_sync import frame_offset, split_scenes

__all__ = ["Example", "examples_of", "film", "gain_maps", "stills"]

_LONG_SIDE_PX = 960
_FILM_EXAMPLES = 24
_ALIGN_FRAMES = 600
_PICTURES = {".png", ".tif", ".tiff", ".exr", ".hdr"}


class Example(NamedTuple):
    """``sdr`` R'G'B' 0..1 BT.709 and ``pq`` PQ BT.2020, both (3, H, W) fp32, of the same picture."""

    name: str
    sdr: Tensor
    pq: Tensor


def examples_of(sdr: Sequence[Path], hdr: Sequence[Path]) -> list[Example]:
    """What files of both sides hold: stills, one film in both versions, or gain-map photographs given as ``hdr`` alone.

    ArgumentError or MediaError says in one line what is missing.
    """
    for argument, paths in (("sdr", sdr), ("hdr", hdr)):
        for path in paths:
            if not path.is_file():
                raise ArgumentError(argument, str(path), "an existing file", "check the path")
    if not hdr:
        raise ArgumentError("hdr", "nothing", "pictures, a video, or gain-map photographs", "name the HDR side")
    if not sdr:
        return gain_maps(hdr)
    if len(sdr) == len(hdr) == 1 and not {sdr[0].suffix.lower(), hdr[0].suffix.lower()} & _PICTURES:
        return film(sdr[0], hdr[0])
    return stills(sdr, hdr)


def stills(sdr: Sequence[Path], hdr: Sequence[Path]) -> list[Example]:
    """Pictures paired in sorted order of their names.

    SDR: PNG or TIFF of 8 or 16 bits. HDR: PNG or TIFF of 16 bits, PQ BT.2020 full range; OpenEXR or Radiance .hdr,
    linear BT.709 with 1.0 at 203 cd/m². ArgumentError if they don't pair, MediaError if one can't be read.
    """
    if len(sdr) != len(hdr):
        raise ArgumentError("hdr", f"{len(hdr)} pictures", f"{len(sdr)}, one for each of --sdr", "name both sides")
    pairs = zip(sorted(sdr), sorted(hdr), strict=True)
    return [_example(below.stem, _sdr_picture(below), _hdr_picture(above), below, above) for below, above in pairs]


def gain_maps(paths: Sequence[Path]) -> list[Example]:
    """Gain-map photographs (Ultra HDR, ISO 21496-1), which hold both sides."""
    examples = []
    for path in sorted(paths):
        photo = read_gainmap_photo(path, shrink=2)
        nits = GRAPHICS_WHITE_NITS * convert(_planes(photo.hdr), Primaries.BT709, Primaries.BT2020).clamp(min=0)
        examples.append(_example(path.stem, _planes(photo.sdr) / 255, nits_to_pq(nits), path, path))
    return examples


def film(sdr: Path, hdr: Path) -> list[Example]:
    """A film that exists in both: aligned in time by content, one frame from the middle of scenes spread over it.

    Bars are cut away and sizes reconciled. MediaError if the two don't show the same film.
    """
    above, below = VideoFile(hdr, hdr=True), VideoFile(sdr, hdr=False)
    thumbnails = above.thumbnails()
    offset = frame_offset(thumbnails[:_ALIGN_FRAMES], below.thumbnails(limit_frames=_ALIGN_FRAMES))
    middles = [(span.first + span.end) // 2 for span in split_scenes(thumbnails)]
    middles = [n for n in middles if 0 <= n + offset < below.frames]
    if not middles:
        raise MediaError(f"{hdr.name} and {sdr.name} have no scene in common: trim one of them")
    chosen = np.unique(np.linspace(0, len(middles) - 1, min(_FILM_EXAMPLES, len(middles))).round().astype(int))
    width, height = min(above.width, below.width), min(above.height, below.height)
    examples = []
    for n in (middles[k] for k in chosen.tolist()):
        light = next(iter(above.read(n, 1, width=width, height=height)))
        codes = next(iter(below.read(n + offset, 1, width=width, height=height)))
        pq, signal = nits_to_pq(_planes(light)), _planes(codes) / 255
        rows = _rows_with_picture(signal, pq)
        examples.append(_example(f"frame {n}", signal[:, rows], pq[:, rows], sdr, hdr))
    return examples


def _rows_with_picture(sdr: Tensor, pq: Tensor) -> slice:
    """Without black bars, which say nothing of a grade."""
    lit = (torch.maximum(sdr.amax(dim=(0, 2)), pq.amax(dim=(0, 2))) > 0.05).nonzero().flatten()
    return slice(int(lit[0]), int(lit[-1]) + 1) if len(lit) > 16 else slice(None)


def _example(name: str, sdr: Tensor, pq: Tensor, below: Path, above: Path) -> Example:
    if sdr.shape != pq.shape:
        wide = sdr.shape[1] * pq.shape[2] / (sdr.shape[2] * pq.shape[1])
        if not 0.99 < wide < 1.01:
            raise MediaError(
                f"{below.name} is {sdr.shape[2]}x{sdr.shape[1]}, {above.name} {pq.shape[2]}x{pq.shape[1]}: "
                "crop them to the same picture"
            )
    scale = min(1.0, _LONG_SIDE_PX / max(*sdr.shape[1:], *pq.shape[1:]))
    size = tuple(max(1, round(side * scale)) for side in (min(sdr.shape[k], pq.shape[k]) for k in (1, 2)))
    small = [F.interpolate(side[None], size=size, mode="area")[0] for side in (sdr, pq)]
    return Example(name, small[0], small[1])


def _sdr_picture(path: Path) -> Tensor:
    if path.suffix.lower() not in {".png", ".tif", ".tiff"}:
        raise ArgumentError("sdr", path.name, "PNG or TIFF, or one video", "convert it")
    codes = read_rgb(path)
    return _planes(codes) / np.iinfo(codes.dtype).max


def _hdr_picture(path: Path) -> Tensor:
    if path.suffix.lower() not in _PICTURES:
        raise ArgumentError("hdr", path.name, "PNG or TIFF of 16 bits, OpenEXR or .hdr, or one video", "convert it")
    if path.suffix.lower() in {".exr", ".hdr"}:
        light = convert(_planes(read_radiance(path)), Primaries.BT709, Primaries.BT2020).clamp(min=0)
        return nits_to_pq(GRAPHICS_WHITE_NITS * light)
    codes = read_rgb(path)
    if codes.dtype != np.uint16:
        raise MediaError(f"{path.name} has 8 bits a channel: PQ needs 16 (is --hdr the SDR side?)")
    return _planes(codes) / 65535


def _planes(picture: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture, dtype=np.float32)).movedim(-1, 0).contiguous()

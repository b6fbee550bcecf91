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
from vsdslnet.color.primaries import convert, luminance_of
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS, nits_to_pq, pq_scalar, pq_to_nits, srgb_to_linear
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.stills.pictures import HDR_SUFFIXES, SDR_SUFFIXES, planes_of, read_hdr, read_sdr
from vsdslnet.training.material.gainmap import read_gainmap_photo
from vsdslnet.training.material.video_read import VideoFile
from vsdslnet.training.material.video_sync import frame_offset, split_scenes

__all__ = ["Example", "check", "examples_of", "film", "gain_maps", "stills"]

_LONG_SIDE_PX = 960
_READ_SIDE_PX = 1280
_FILM_EXAMPLES = 24
_ALIGN_FRAMES = 600
_WHOLE_FRAMES = 3000
"""Films of so many frames are looked through for scenes; longer ones at places spread over them."""
_PLACE_FRAMES = 49
_ENDS = 0.04
"""Of a long film, its beginning and end: logos and credits say nothing of a grade."""
_DIFFERENT_STOPS = 3.5


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
            if not _is_file(path):
                raise ArgumentError(argument, str(path), "an existing file", "check the path")
    if not hdr:
        raise ArgumentError("hdr", "nothing", "pictures, a video, or gain-map photographs", "name the HDR side")
    if not sdr:
        return gain_maps(hdr)
    if len(sdr) == len(hdr) == 1 and not {sdr[0].suffix.lower(), hdr[0].suffix.lower()} & (SDR_SUFFIXES | HDR_SUFFIXES):
        return film(sdr[0], hdr[0])
    return stills(sdr, hdr)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have, or a folder that may not be looked into
        return False


def stills(sdr: Sequence[Path], hdr: Sequence[Path]) -> list[Example]:
    """Pictures paired in sorted order of their names, as :mod:`vsdslnet.stills.pictures` reads them.

    ArgumentError if they don't pair or are no pictures by their names, MediaError if one can't be read.
    """
    if len(sdr) != len(hdr):
        raise ArgumentError("hdr", f"{len(hdr)} pictures", f"{len(sdr)}, one for each of --sdr", "name both sides")
    for argument, paths, suffixes in (("sdr", sdr, SDR_SUFFIXES), ("hdr", hdr, HDR_SUFFIXES)):
        for path in paths:
            if path.suffix.lower() not in suffixes:
                kinds = f"pictures ({', '.join(sorted(suffixes))}), or one video on both sides"
                raise ArgumentError(argument, path.name, kinds, "convert it")
    pairs = zip(sorted(sdr), sorted(hdr), strict=True)
    return [_example(below.stem, read_sdr(below), read_hdr(above), below, above) for below, above in pairs]


def gain_maps(paths: Sequence[Path]) -> list[Example]:
    """Gain-map photographs (Ultra HDR, ISO 21496-1), which hold both sides."""
    examples = []
    for path in sorted(paths):
        photo = read_gainmap_photo(path, shrink=2)
        nits = GRAPHICS_WHITE_NITS * convert(planes_of(photo.hdr), Primaries.BT709, Primaries.BT2020).clamp(min=0)
        examples.append(_example(path.stem, planes_of(photo.sdr) / 255, nits_to_pq(nits), path, path))
    return examples


def film(sdr: Path, hdr: Path) -> list[Example]:
    """A film that exists in both: aligned in time by content, one frame from the middle of scenes spread over it.

    Each side's bars are cut away and sizes reconciled. Frames that say nothing, or do not show the same in both, are
    left out; MediaError if most are.
    """
    above, below = VideoFile(hdr, hdr=True), VideoFile(sdr, hdr=False)
    for side in (above, below):
        side.cut_bars()
    offset = frame_offset(above.thumbnails(limit_frames=_ALIGN_FRAMES), below.thumbnails(limit_frames=_ALIGN_FRAMES))
    numbers = [n for n in _scene_middles(above) if 0 <= n + offset < below.frames]
    if not numbers:
        raise MediaError(f"{hdr.name} and {sdr.name} have no scene in common: trim one of them")
    examples, refused = [], []
    for n in numbers:
        light = next(iter(above.read(n, 1, **_size(above))))
        codes = next(iter(below.read(n + offset, 1, **_size(below))))
        example = _example(f"frame {n}", planes_of(codes) / 255, nits_to_pq(planes_of(light)), sdr, hdr)
        try:
            check(example)
        except MediaError as error:
            refused.append(error)
        else:
            examples.append(example)
    if len(refused) > len(examples):
        raise refused[0]
    return examples


def _size(film: VideoFile) -> dict[str, int]:
    """Width and height in which its frames are read: more says no more of a grade."""
    scale = min(1.0, _READ_SIDE_PX / max(film.width, film.height))
    return {"width": round(film.width * scale), "height": round(film.height * scale)}


def _scene_middles(film: VideoFile) -> list[int]:
    """Frames in the middle of scenes, spread over the film."""
    if film.frames <= _WHOLE_FRAMES:
        middles = [(span.first + span.end) // 2 for span in split_scenes(film.thumbnails())]
        picked = np.linspace(0, len(middles) - 1, min(_FILM_EXAMPLES, len(middles))).round().astype(int)
        return [middles[k] for k in np.unique(picked).tolist()]
    starts = np.linspace(_ENDS * film.frames, (1 - _ENDS) * film.frames - _PLACE_FRAMES, _FILM_EXAMPLES).astype(int)
    middles = []
    for start in starts.tolist():
        spans = split_scenes(film.thumbnails(first=start, limit_frames=_PLACE_FRAMES))
        longest = max(spans, key=lambda span: span.end - span.first)
        middles.append(start + (longest.first + longest.end) // 2)
    return middles


def check(example: Example) -> None:
    """MediaError unless the two sides can be the same picture, as SDR and as PQ."""
    sdr, pq = example.sdr, example.pq
    share_above = float((pq.amax(dim=0) > pq_scalar(4000)).float().mean())
    if share_above > 0.02 and float(sdr.max()) < 0.85:
        raise MediaError(f"{example.name}: SDR and HDR seem to be swapped")
    if share_above > 0.05:
        raise MediaError(f"{example.name}: the HDR side does not look like PQ, {share_above:.0%} lie above 4000 nits")
    shown = luminance_of(GRAPHICS_WHITE_NITS * convert(srgb_to_linear(sdr), Primaries.BT709, Primaries.BT2020))
    nits = luminance_of(pq_to_nits(pq))
    light = [nits_to_pq(side).flatten() for side in (shown, nits)]
    if float(light[0].std()) < 0.01:
        raise MediaError(f"{example.name}: is all of one level, which says nothing about a grade")
    agreement = float(torch.corrcoef(torch.stack(light))[0, 1])
    if not agreement > 0.8:
        raise MediaError(
            f"{example.name}: SDR and HDR don't show the same picture (correlation {agreement:.2f}); "
            "check the order of the files and their crops"
        )
    if float((sdr - pq).abs().mean()) < 0.01:
        raise MediaError(f"{example.name}: both sides hold the same codes: the HDR side is not PQ")
    lit = shown > 1
    stops = float((nits[lit] / shown[lit]).clamp(min=1e-6).log2().median()) if bool(lit.any()) else 0.0
    if abs(stops) > _DIFFERENT_STOPS:
        raise MediaError(
            f"{example.name}: the HDR side does not look like PQ, it lies {stops:+.1f} stops from the SDR side"
        )


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

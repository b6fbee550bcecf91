"""The scenes a data folder holds, by kind, and the pictures of each, loaded once a process.

Folders: ``hdri/`` (equirectangular ``.hdr``, ``.exr``, or gain-map ``.jpg``), ``linear_stills/`` (``.exr``;
a name with ``LatLong`` is equirectangular), ``pairs/*/`` (``sdr.png`` + ``hdr_pq2020.png``), ``originals/``
(gain-map ``.jpg``), ``clips/*/hdr/*.png`` (consecutive PQ frames).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import rgb_to_rgb
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS, linear_to_srgb, nits_to_pq, pq_to_nits, srgb_to_linear
from vsdslnet.errors import ArgumentError
from vsdslnet.stills.codes import read_rgb
from vsdslnet.stills.radiance import clean_radiance, read_radiance
from vsdslnet.training.config.dataset import TARGET_PEAK_NITS, DataConfig
from vsdslnet.training.material.gainmap import read_gainmap_photo
from vsdslnet.training.material.png import read_pq_signal
from vsdslnet.training.material.pyramid import area_pyramid, to_root

__all__ = ["PairPicture", "RadiancePicture", "Scene", "find_scenes", "load_clip", "load_photograph", "load_radiance"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One scene: everything made of it is in one split only."""

    id: str
    kind: str
    path: Path
    equirect: bool = False


@dataclass(frozen=True, kw_only=True)
class RadiancePicture:
    """Linear BT.709 light of any scale, as fourth roots, with its halvings."""

    levels: list[Floats]
    equirect: bool


@dataclass(frozen=True, kw_only=True)
class PairPicture:
    """A photograph in SDR and HDR, with halvings made in light.

    ``levels`` are (height, width, 6): sRGB-coded BT.709 signal, then PQ signal of BT.2020 light. Light above
    1000 cd/m² is **clipped there per channel**: what a 1000-nit master of the photograph would show; a
    shoulder would change the pipeline's own tones below it.
    """

    levels: list[Floats]


def find_scenes(root: Path, config: DataConfig, *, split: str) -> list[Scene]:
    """Every scene of a split (``train`` or ``validation``) below a data folder, in a stable order."""
    if not root.is_dir():
        raise ArgumentError(
            "data", str(root), "a folder with hdri/, pairs/, ...", "see vsdslnet.training.material.scenes"
        )
    scenes = [
        Scene(id=path.stem, kind="hdri" if path.suffix != ".jpg" else "hdri_4k", path=path, equirect=True)
        for path in sorted((root / "hdri").glob("*"))
        if path.suffix in (".hdr", ".exr", ".jpg")
    ]
    scenes += [
        Scene(id=path.stem, kind="still", path=path, equirect="LatLong" in path.stem)
        for path in sorted((root / "linear_stills").glob("*.exr"))
    ]
    scenes += [Scene(id=path.name, kind="pair", path=path) for path in sorted((root / "pairs").glob("*"))]
    scenes += [Scene(id=path.stem, kind="original", path=path) for path in sorted((root / "originals").glob("*.jpg"))]
    scenes += [Scene(id=path.name, kind="clip", path=path) for path in sorted((root / "clips").glob("*"))]
    held_out = set(config.validation_scenes)
    wanted = split == "validation"
    return [s for s in scenes if (s.id in held_out) == wanted and s.id not in config.exclude_scenes]


@lru_cache(maxsize=128)
def load_radiance(scene: Scene) -> RadiancePicture:
    """The light of an HDRI or a linear still."""
    if scene.kind == "hdri_4k":
        photo = read_gainmap_photo(scene.path)
        light = clean_radiance(photo.hdr)
    else:
        light = read_radiance(scene.path)
    return RadiancePicture(levels=[to_root(level) for level in area_pyramid(light)], equirect=scene.equirect)


@lru_cache(maxsize=32)
def load_photograph(scene: Scene) -> PairPicture:
    """Both sides of a phone photograph: a pair of PNGs, or its gain-map original (at half size)."""
    if scene.kind == "original":
        photo = read_gainmap_photo(scene.path, shrink=2)
        sdr = srgb_to_linear(torch.from_numpy(photo.sdr.astype(np.float32) / 255)).numpy()
        to_2020 = rgb_to_rgb(Primaries.BT709, Primaries.BT2020).numpy().astype(np.float32)
        nits = GRAPHICS_WHITE_NITS * np.maximum(photo.hdr @ to_2020.T, 0)
    else:
        sdr = srgb_to_linear(torch.from_numpy(read_rgb(scene.path / "sdr.png").astype(np.float32) / 255)).numpy()
        nits = _read_light(scene.path / "hdr_pq2020.png")
    nits = np.minimum(nits, np.float32(TARGET_PEAK_NITS))
    light = np.concatenate([sdr, nits], axis=2)
    levels = []
    for level in area_pyramid(np.ascontiguousarray(light)):
        signal = linear_to_srgb(torch.from_numpy(level[..., :3].copy()))
        pq = nits_to_pq(torch.from_numpy(level[..., 3:].copy()))
        levels.append(torch.cat([signal, pq], dim=2).numpy())
    return PairPicture(levels=levels)


@lru_cache(maxsize=8)
def load_clip(scene: Scene) -> list[Floats]:
    """The consecutive frames of a clip: BT.2020 light (height, width, 3) in cd/m²."""
    return [_read_light(path) for path in sorted((scene.path / "hdr").glob("*.png"))]


def _read_light(path: Path) -> Floats:
    return np.asarray(pq_to_nits(torch.from_numpy(read_pq_signal(path))).numpy(), dtype=np.float32)

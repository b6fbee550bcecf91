"""Reading linear radiance: Radiance RGBE and OpenEXR."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.references import D65_XY, rgb_to_rgb_matrix, rgb_to_xyz_matrix
from vsdslnet.color.white import bradford, xyz_of
from vsdslnet.errors import MediaError

__all__ = ["Image", "clean_radiance", "read_radiance"]

Image = NDArray[np.float32]
"""Height x width x channels, float32."""

_MAX_OVER_MEDIAN = 20_000.0
_HEADER_BYTES = 1 << 16


def read_radiance(path: Path, *, primaries: Primaries = Primaries.BT709) -> Image:
    """Linear RGB (height, width, 3) of these primaries, of a ``.hdr`` or ``.exr`` file; MediaError if unreadable.

    A file that says no chromaticities (OpenEXR's ``chromaticities``, Radiance's ``PRIMARIES``) has BT.709's; others
    are converted, their white to D65 as well. What lies outside the primaries asked for is cut at 0, as negative light
    is.
    """
    image: Any
    if path.suffix.lower() == ".exr":
        image, xy = _read_exr(path)
    else:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 3:
            raise MediaError(f"{path.name} is not a picture with three channels that can be read")
        image, xy = image[..., 2::-1], _radiance_chromaticities(path)
    image = np.ascontiguousarray(image, dtype=np.float32)
    if xy is not None:
        image = image @ _to_primaries(path, xy, primaries).T.astype(np.float32)
    elif primaries is not Primaries.BT709:
        image = image @ rgb_to_rgb_matrix(Primaries.BT709, primaries).T.astype(np.float32)
    return clean_radiance(image)


def _to_primaries(path: Path, xy: Sequence[float], primaries: Primaries) -> NDArray[np.float64]:
    """3x3 matrix from linear RGB with chromaticities x, y of red, green, blue and white to these primaries."""
    if not (all(math.isfinite(value) for value in xy) and xy[1] * xy[3] * xy[5] * xy[7]):
        raise MediaError(f"{path.name} says chromaticities that no light has: {', '.join(f'{v:g}' for v in xy)}")
    *lights, white = (xyz_of((x, y)) for x, y in zip(xy[::2], xy[1::2], strict=True))
    columns = np.stack(lights, axis=1)
    try:
        to_xyz = columns * np.linalg.solve(columns, white)
    except np.linalg.LinAlgError:
        raise MediaError(f"{path.name} says three primaries on one line, of which no colours are made") from None
    adapted = bradford(white, xyz_of(D65_XY)) @ to_xyz
    matrix: NDArray[np.float64] = np.linalg.solve(rgb_to_xyz_matrix(primaries), adapted)
    return matrix


def _radiance_chromaticities(path: Path) -> list[float] | None:
    """What a header's last ``PRIMARIES`` says; OpenCV does not tell. A file without one counts as BT.709.

    So does one that says eight zeros, as Photoshop writes into every file, most public HDRIs among them.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES).split(b"\n\n", 1)[0]
    found = re.findall(rb"^PRIMARIES\s*=(.*)$", header, re.MULTILINE)
    if not found:
        return None
    try:
        xy = [float(value) for value in found[-1].split()]
    except ValueError:
        xy = []
    if len(xy) != 8:
        raise MediaError(f"{path.name} has PRIMARIES that are not eight numbers: {found[-1].decode(errors='replace')}")
    return xy if any(xy) else None


def _read_exr(path: Path) -> tuple[Any, Sequence[float] | None]:
    """The pixels, and the chromaticities if the file says any."""
    import OpenEXR

    try:
        with OpenEXR.File(str(path)) as file:
            channels, xy = file.channels(), file.header().get("chromaticities")
            if "RGB" in channels or "RGBA" in channels:
                return channels.get("RGB", channels.get("RGBA")).pixels[..., :3], xy
            return np.stack([channels[name].pixels for name in "RGB"], axis=-1), xy
    except (RuntimeError, KeyError, OSError, ValueError) as error:
        raise MediaError(f"{path.name} is not an OpenEXR picture with R, G and B ({error})") from error


def clean_radiance(image: Image) -> Image:
    """Without NaN, infinity and negative light; suns beyond 20,000 times the median are cut there.

    The cut is far above what any grade keeps, and spares the interpolation kernels.
    """
    image = np.nan_to_num(image, nan=0.0, posinf=65504.0, neginf=0.0)
    image = np.maximum(image, 0)
    middle = max(float(np.median(image)), 1e-4)
    return np.minimum(image, np.float32(_MAX_OVER_MEDIAN * middle))

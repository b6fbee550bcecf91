"""Video files as frames, through BestSource (frame-accurate) and zimg: HDR light, SDR codes, thumbnails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vsdslnet.color.h273 import Matrix, Primaries, Transfer
from vsdslnet.color.primaries import BT2020_LUMA
from vsdslnet.color.transfer import hlg_to_nits, pq_to_nits
from vsdslnet.errors import MediaError

__all__ = ["VideoFile"]

_THUMBNAIL = (64, 36)
_BAR_FRAMES = 24
_LIT = 0.05
_LEAST_SIDE_PX = 32


class VideoFile:
    """One film, opened as HDR (PQ or HLG, BT.2020) or as SDR (anything else)."""

    def __init__(self, path: Path, *, hdr: bool) -> None:
        """Raises MediaError when the file can't be opened, or is not HDR where HDR is wanted."""
        import vapoursynth as vs

        self.path, self.is_hdr = path, hdr
        core = vs.core
        try:
            # No index on disk beside the films: a data set's sources may be read-only.
            self._clip: Any = core.bs.VideoSource(str(path), cachemode=0)
            properties = self._clip.get_frame(0).props
        except vs.Error as error:
            raise MediaError(f"{path.name} can't be read as video ({error})") from error
        self.frames = int(self._clip.num_frames)
        self.width, self.height = int(self._clip.width), int(self._clip.height)
        self._transfer = int(properties.get("_Transfer", Transfer.UNSPECIFIED))
        if hdr and (
            self._transfer not in (Transfer.PQ, Transfer.HLG)
            or int(properties.get("_Primaries", Primaries.BT2020)) != Primaries.BT2020
        ):
            raise MediaError(
                f"{path.name} is not HDR: transfer {self._transfer}, PQ (16) or HLG (18) in BT.2020 wanted"
            )
        matrix = int(properties.get("_Matrix", Matrix.UNSPECIFIED))
        assumed = Matrix.BT2020_NCL if hdr else Matrix.BT709
        self._rgb: dict[str, Any] = {"format": vs.RGB48 if hdr else vs.RGB24, "range_s": "full", "dither_type": "none"}
        self._rgb["approximate_gamma"] = False  # BT.2020's constant luminance goes through the curve
        if matrix == Matrix.UNSPECIFIED:
            self._rgb["matrix_in"] = int(assumed)

    def cut_bars(self) -> None:
        """Leave out the black bars that frames all over the film have, on every side, to even numbers of pixels."""
        lit = np.zeros((self.height, self.width), bool)
        for number in np.unique(np.linspace(0, self.frames - 1, _BAR_FRAMES).astype(int)).tolist():
            with self._clip[number].resize.Bilinear(**self._rgb).get_frame(0) as frame:
                codes = _planes(frame)
                lit |= codes.max(axis=-1) > _LIT * np.iinfo(codes.dtype).max
        rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
        if min(len(rows), len(columns)) < _LEAST_SIDE_PX:
            return
        top, left = (-(-int(side[0]) // 2) * 2 for side in (rows, columns))
        height, width = (2 * ((int(side[-1]) + 1 - start) // 2) for side, start in ((rows, top), (columns, left)))
        if (width, height) != (self.width, self.height):
            self._clip = self._clip.std.CropAbs(width=width, height=height, left=left, top=top)
            self.width, self.height = width, height

    def thumbnails(self, *, first: int = 0, limit_frames: int | None = None) -> NDArray[np.float32]:
        """Luma signal 0..1 (frames, 36, 64) of the film, or of so many frames from ``first`` on."""
        clip = self._clip[first : None if limit_frames is None else first + max(limit_frames, 1)]
        rgb = clip.resize.Bilinear(width=_THUMBNAIL[0], height=_THUMBNAIL[1], **self._rgb)
        top = 65535 if self.is_hdr else 255
        weights = np.array(BT2020_LUMA, np.float32) / top
        return np.stack([_planes(frame).astype(np.float32) @ weights for frame in rgb.frames()])

    def read(self, first: int, count: int, *, width: int | None = None, height: int | None = None) -> Iterator[Any]:
        """``count`` frames from ``first`` on: HDR light (H, W, 3) float32 cd/m² BT.2020, or SDR codes uint8."""
        size = {} if width is None else {"width": width, "height": height}
        clip = self._clip[first : first + count].resize.Spline36(**size, **self._rgb)
        for frame in clip.frames():
            codes = _planes(frame)
            yield self._light(codes) if self.is_hdr else codes

    def _light(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        signal = torch.from_numpy(codes.astype(np.float32) / 65535)
        if self._transfer == Transfer.PQ:
            return np.asarray(pq_to_nits(signal).numpy())
        return np.asarray(hlg_to_nits(signal.movedim(-1, 0)).movedim(0, -1).contiguous().numpy())


def _planes(frame: Any) -> NDArray[Any]:
    return np.stack([np.asarray(frame[plane]) for plane in range(3)], axis=-1)

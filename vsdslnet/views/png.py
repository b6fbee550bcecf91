"""PNG files by hand: 8-bit sRGB, and 16-bit PQ tagged for HDR screens by a cICP chunk."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vsdslnet.color.h273 import Matrix, Primaries, Range, Transfer
from vsdslnet.errors import ArgumentError
from vsdslnet.views.pixels import Picture

__all__ = ["picture_png", "pq_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR = 2
_UP_FILTER = 2
_CLLI_UNIT_NITS = 0.0001


def picture_png(picture: Picture) -> bytes:
    """8-bit sRGB (H, W, 3) -> a PNG file; an ``sRGB`` chunk names its colours (PNG 3rd ed., 11.3.2.5)."""
    if picture.dtype != np.uint8:
        raise ArgumentError("picture", str(picture.dtype), "8-bit samples (uint8)")
    return _file(picture, [(b"sRGB", b"\x00")])


def pq_png(pq: Tensor, *, max_nits: float | None = None, average_nits: float | None = None) -> bytes:
    """PQ BT.2020 (3, H, W), 0..1 -> a 16-bit PNG that HDR screens show as HDR.

    A cICP chunk (PNG 3rd ed., 11.3.2.6) says BT.2020, PQ, RGB, full range. With both light levels
    given, cLLI (11.3.2.8) carries MaxCLL and MaxFALL in cd/m².
    """
    codes = (pq.detach().double().clamp(0, 1) * 65535).round().movedim(-3, -1).cpu().numpy()
    chunks = [(b"cICP", bytes([Primaries.BT2020, Transfer.PQ, Matrix.RGB, Range.FULL]))]
    if max_nits is not None and average_nits is not None:
        levels = [round(nits / _CLLI_UNIT_NITS) for nits in (max_nits, average_nits)]
        chunks.append((b"cLLI", struct.pack(">II", *levels)))
    return _file(codes.astype(np.uint16), chunks)


def _file(samples: NDArray[np.uint8] | NDArray[np.uint16], chunks: list[tuple[bytes, bytes]]) -> bytes:
    if samples.ndim != 3 or samples.shape[2] != 3 or 0 in samples.shape:
        raise ArgumentError("picture", samples.shape, "(height, width, 3)")
    height, width, _ = samples.shape
    bits = 8 * samples.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, bits, _TRUECOLOUR, 0, 0, 0)
    # Rows of big-endian bytes, each as its difference from the row above (filter type 2).
    big_endian = np.ascontiguousarray(samples).astype(samples.dtype.newbyteorder(">"))
    rows = np.frombuffer(big_endian.tobytes(), np.uint8).reshape(height, -1)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    filters = np.full((height, 1), _UP_FILTER, np.uint8)
    body = zlib.compress(np.hstack([filters, rows - above]).tobytes(), 6)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

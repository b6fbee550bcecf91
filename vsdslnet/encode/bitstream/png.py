"""Chunks of a PNG file: those that say HDR put in, whatever an encoder had to say taken out.

FFmpeg scrambles the chromaticities in mDCV (findings/ffmpeg-encoders-misstate-hdr.sh), so all are written here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from vsdslnet.color.h273 import Matrix, Primaries, Range, Transfer
from vsdslnet.errors import MediaError
from vsdslnet.hdr10 import MasteringDisplay

__all__ = ["chunks", "hdr_chunks", "with_chunks"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NITS_STEPS = 10_000  # mDCV and cLLI count in 0.0001 cd/m²


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies of a file's chunks. MediaError if it is no PNG."""
    at, name = len(_SIGNATURE), b""
    if not png.startswith(_SIGNATURE):
        raise MediaError("a picture is not PNG: the encoder's output is damaged")
    while name != b"IEND":
        if len(png) < at + 12:
            raise MediaError("a PNG ends too early: the encoder's output is damaged")
        size, name = struct.unpack_from(">I4s", png, at)
        yield name, png[at + 8 : at + 8 + size]
        at += 12 + size


def hdr_chunks(
    transfer: Transfer, mastering: MasteringDisplay | None, light_nits: tuple[float, float] | None
) -> list[tuple[bytes, bytes]]:
    """cICP, and mDCV and cLLI where they are known (PNG 3rd edition, 11.3.2.6 to 11.3.2.8): RGB, full range.

    ``light_nits``: of the file's own picture, its brightest pixel and its average, which are its MaxCLL and MaxFALL.
    """
    found = [(b"cICP", bytes([Primaries.BT2020, transfer, Matrix.RGB, Range.FULL]))]
    if mastering is not None:
        red, green, blue, white = (tuple(round(v * 50_000) for v in xy) for xy in mastering.chromaticities)
        light = (round(mastering.max_nits * _NITS_STEPS), round(mastering.min_nits * _NITS_STEPS))
        found.append((b"mDCV", struct.pack(">8H2I", *red, *green, *blue, *white, *light)))
    if light_nits is not None:
        found.append((b"cLLI", struct.pack(">2I", *(round(nits * _NITS_STEPS) for nits in light_nits))))
    return found


def with_chunks(png: bytes, added: list[tuple[bytes, bytes]]) -> bytes:
    """A file with these behind its header, and none of the others that only describe the picture."""
    (header, *others) = chunks(png)
    kept = [(name, body) for name, body in others if name[:1].isupper()]  # critical ones (PNG 5.4)
    return _SIGNATURE + b"".join(_chunk(name, body) for name, body in (header, *added, *kept))


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

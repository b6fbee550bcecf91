"""Chunks of codecs whose every picture stands alone (ProRes, DNxHR), each behind its length, and their colour tags.

ProRes: SMPTE RDD 36, 5.1.1 (frame header). DNxHR: SMPTE ST 2019-1, 6.2 (frame header).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vsdslnet.errors import MediaError

__all__ = ["dnxhr_of_bt2020", "pictures_of", "prores_colours", "read_pictures", "write_picture"]

_LENGTH = struct.Struct(">I")
_PRORES_MARK, _PRORES_MARK_AT, _PRORES_COLOURS_AT = b"icpf", 4, 22
_DNXHR_PREFIX, _DNXHR_FORMAT_AT = b"\x00\x00\x02\x80\x03", 0x2C
# Bits 1 and 2 of the format byte: 0 is BT.709, 1 BT.2020 with non-constant luminance.
_DNXHR_COLOUR_VOLUME, _DNXHR_BT2020_NCL = 0b110, 0b010


def write_picture(file: BinaryIO, picture: bytes) -> None:
    """Append a coded picture to a chunk."""
    file.write(_LENGTH.pack(len(picture)) + picture)


def pictures_of(file: BinaryIO) -> Iterator[bytes]:
    """The coded pictures of a chunk, one in memory at a time. MediaError if one is not whole."""
    while head := file.read(_LENGTH.size):
        picture = file.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
        if not picture or len(picture) != _LENGTH.unpack(head)[0]:
            raise MediaError("a chunk ends within a picture: the encoder's output is damaged")
        yield picture


def read_pictures(path: Path) -> Iterator[bytes]:
    """:func:`pictures_of` of a chunk's file."""
    with path.open("rb") as file:
        yield from pictures_of(file)


def prores_colours(picture: bytes) -> tuple[int, int, int]:
    """Primaries, transfer and matrix (H.273) that a ProRes picture's header says. MediaError if it is none."""
    at = _PRORES_COLOURS_AT
    if picture[_PRORES_MARK_AT:][:4] != _PRORES_MARK or len(picture) < at + 3:
        raise MediaError("a picture is not ProRes: the encoder's output is damaged")
    return picture[at], picture[at + 1], picture[at + 2]


def dnxhr_of_bt2020(picture: bytes) -> bytes:
    """A DNxHR picture whose header says BT.2020 with non-constant luminance: FFmpeg writes BT.709 whatever it is told.

    MediaError if it is none.
    """
    if not picture.startswith(_DNXHR_PREFIX) or len(picture) <= _DNXHR_FORMAT_AT:
        raise MediaError("a picture is not DNxHR: the encoder's output is damaged")
    patched = bytearray(picture)
    patched[_DNXHR_FORMAT_AT] = patched[_DNXHR_FORMAT_AT] & ~_DNXHR_COLOUR_VOLUME | _DNXHR_BT2020_NCL
    return bytes(patched)

"""A chunk of pictures: a ZIP file that packs nothing, with each picture's bytes under its number in the chunk."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from vsdslnet.errors import MediaError

__all__ = ["append_picture", "packed_pictures"]

_ALWAYS = (1980, 1, 1, 0, 0, 0)  # the first date that ZIP knows: the same pictures are the same bytes


def append_picture(file: zipfile.ZipFile, number: int, data: bytes) -> None:
    """Put in a chunk's next picture."""
    file.writestr(zipfile.ZipInfo(_name(number), _ALWAYS), data)


def packed_pictures(path: Path) -> Iterator[bytes]:
    """The pictures of a chunk in order, one in memory at a time. MediaError if it is not whole."""
    try:
        with zipfile.ZipFile(path) as file:
            for number in range(len(file.namelist())):
                yield file.read(_name(number))
    except (zipfile.BadZipFile, KeyError) as error:
        raise MediaError(f"a chunk of pictures is damaged ({error})") from None


def _name(number: int) -> str:
    return f"{number:06d}"

"""Names of a sequence's pictures: one pattern with a place for the number, as ``%06d`` or ``######``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from vsdslnet.encode.place import check_name, check_possible
from vsdslnet.errors import ArgumentError, OutputError

__all__ = ["PictureNames"]

_PLACE = re.compile(r"%(?:0(\d+))?d|(#+)")
_SEPARATORS = " ._-"


class PictureNames:
    """The names that a pattern gives. ArgumentError unless its last part has one place for the number."""

    def __init__(self, pattern: Path) -> None:
        places = list(_PLACE.finditer(pattern.name))
        if len(places) != 1:
            cure = f"write {pattern.with_name('%06d' + pattern.suffix)}"
            raise ArgumentError("output", str(pattern), "a name with one %06d or ###### for the picture's number", cure)
        (place,) = places
        self._digits = int(place[1] or 0) if place[2] is None else len(place[2])
        self._before, self._after = pattern.name[: place.start()], pattern.name[place.end() :]
        self.folder = pattern.parent

    def path(self, number: int) -> Path:
        """The file of a picture."""
        return self.folder / f"{self._before}{number:0{self._digits}d}{self._after}"

    @property
    def sidecar(self) -> Path:
        """A file of the sequence's name for what its pictures can't say."""
        stem = (self._before + self._after.removesuffix(self.path(0).suffix)).strip(_SEPARATORS)
        return self.folder / f"{stem or 'sequence'}.hdr.json"

    def existing(self) -> list[int]:
        """Numbers of the files with such a name that are there, in order."""
        pattern = re.compile(re.escape(self._before) + r"(\d+)" + re.escape(self._after))
        found = [pattern.fullmatch(path.name) for path in self.folder.iterdir()] if self.folder.is_dir() else []
        numbers = {int(match[1]) for match in found if match}
        return sorted(number for number in numbers if self.path(number).exists())

    def check_place(self, suffixes: tuple[str, ...]) -> None:
        """Refuse a name or a folder as :func:`check_name` does, but for a folder that can be made (OutputError)."""
        check_possible(self.path(0))
        if self.folder.is_dir():
            check_name(self.path(0), suffixes=suffixes)
            return
        if self.path(0).suffix.lower() not in suffixes:
            check_name(self.folder.parent / self.path(0).name, suffixes=suffixes)
        if not self.folder.parent.is_dir() or self.folder.exists():
            raise OutputError(f"{self.folder}: is no directory and can't be made; make it first")
        if not os.access(self.folder.parent, os.W_OK):
            raise OutputError(f"{self.folder.parent}: can't be written to; name another place")

    def make_folder(self) -> bool:
        """Make the folder where there is none, and say whether that was so. OutputError if it can't be made."""
        if self.folder.is_dir():
            return False
        try:
            self.folder.mkdir()
        except OSError as error:
            raise OutputError(f"{self.folder}: can't be made ({error.strerror}); name another place") from None
        return True

    def check_numbers(self, first: int, end: int) -> None:
        """ArgumentError if the pattern has no room for the last of them, OutputError if others are there beside them.

        A reader would take those for the sequence's.
        """
        if self._digits and end - 1 >= 10**self._digits:
            pattern = f"{self._before}%0{len(str(end - 1))}d{self._after}"
            raise ArgumentError("output", str(self.path(0)), f"a name with room for {end - 1}", f"write {pattern}")
        others = [number for number in self.existing() if not first <= number < end]
        if others:
            raise OutputError(
                f"{self.path(others[0])}: would be taken for one of the sequence's pictures {first}-{end - 1}; "
                "remove it, or name another output"
            )

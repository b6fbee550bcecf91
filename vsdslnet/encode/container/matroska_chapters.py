"""What Matroska's chapters say beyond a list of times: FFmpeg reads the top ones that rise, and nothing else.

Read here to be told, not to be kept: no other container has it, and FFmpeg's muxer writes none of it (RFC 9559, 5.1.7).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["lost_chapters"]

_EBML, _SEGMENT, _SEEK_HEAD, _CLUSTER, _CHAPTERS = 0x1A45DFA3, 0x18538067, 0x114D9B74, 0x1F43B675, 0x1043A770
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_EDITION, _IS_ORDERED, _ATOM, _START, _END, _OTHER_FILE = 0x45B9, 0x45DD, 0xB6, 0x91, 0x92, 0x6E67
_MOST_BYTES = 16 << 20
_MOST_ELEMENTS = 1000
_DEEPEST = 32  # chapters in chapters


class _Edition(NamedTuple):
    """``times`` of its top chapters in ns, how many there are ``in_all``, whether they are an order to play in."""

    times: list[tuple[int, int]]
    in_all: int
    is_ordered: bool
    has_other_files: bool

    @property
    def rearranges(self) -> bool:
        """Whether who plays its chapters one after the other sees something else than the file from its start."""
        if not self.is_ordered or not self.times:
            return False
        goes_on = self.times[0][0] == 0 and all(before[1] == after[0] for before, after in pairwise(self.times))
        return self.has_other_files or not goes_on


def lost_chapters(path: Path, *, kept: int) -> list[str]:
    """What an output lacks of the chapters of the Matroska file ``path``, of which FFmpeg reads ``kept``, in words."""
    try:
        with path.open("rb") as file:
            editions = [_edition(data) for kind, data in _elements(_chapters(file)) if kind == _EDITION]
    except (LookupError, OSError, OverflowError, ValueError):  # damage
        return []
    lost = []
    if any(edition.rearranges for edition in editions):
        others = " and of other files" if any(edition.has_other_files for edition in editions) else ""
        lost.append(
            f"ordered chapters (players that know them show parts of the file{others} in another order; the picture is "
            "converted as it lies here)"
        )
    in_all = sum(edition.in_all for edition in editions)
    if kept < in_all:
        lost.append(f"{in_all - kept} of {in_all} chapters (nested, of other editions or out of order)")
    return lost


def _edition(data: bytes) -> _Edition:
    children = list(_elements(data))
    atoms = [dict(_elements(inner)) for kind, inner in children if kind == _ATOM]
    return _Edition(
        times=[(_number(atom.get(_START, b"")), _number(atom.get(_END, b""))) for atom in atoms],
        in_all=_atoms_in(data),
        is_ordered=any(kind == _IS_ORDERED and _number(inner) for kind, inner in children),
        has_other_files=any(_OTHER_FILE in atom for atom in atoms),
    )


def _atoms_in(data: bytes, *, depth: int = 1) -> int:
    atoms = [inner for kind, inner in _elements(data) if kind == _ATOM and depth <= _DEEPEST]
    return len(atoms) + sum(_atoms_in(inner, depth=depth + 1) for inner in atoms)


def _chapters(file: BinaryIO) -> bytes:
    """The contents of the Chapters element: before the first cluster, or where the seek head says."""
    kind, size = _head(file)
    file.seek(size, 1)
    if kind != _EBML or _head(file)[0] != _SEGMENT:
        return b""
    start, told = file.tell(), None
    for _ in range(_MOST_ELEMENTS):
        kind, size = _head(file)
        if kind == _CHAPTERS:
            return file.read(min(size, _MOST_BYTES))
        if kind == _CLUSTER:
            break
        if kind == _SEEK_HEAD:
            found = _told_place(file.read(min(size, _MOST_BYTES)))
            told = told if found is None else found
        else:
            file.seek(size, 1)
    if told is None:
        return b""
    file.seek(start + told)
    kind, size = _head(file)
    return file.read(min(size, _MOST_BYTES)) if kind == _CHAPTERS else b""


def _told_place(seek_head: bytes) -> int | None:
    """Where the Chapters element lies, counted from the segment's contents, if the seek head has it."""
    entries = [dict(_elements(data)) for kind, data in _elements(seek_head) if kind == _SEEK]
    places = [entry[_SEEK_POSITION] for entry in entries if _number(entry.get(_SEEK_ID, b"")) == _CHAPTERS]
    return _number(places[0]) if places else None


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(identity, contents) of the elements one after the other in ``data``."""
    at = 0
    while at < len(data):
        width = _width(data[at])
        sized = at + width
        size_width = _width(data[sized])
        begin = sized + size_width
        size = _number(data[sized:begin]) & ((1 << 7 * size_width) - 1)
        yield _number(data[at:sized]), data[begin : begin + size]
        at = begin + size


def _head(file: BinaryIO) -> tuple[int, int]:
    """(identity, bytes) of the element that begins here. IndexError at the end of the file."""
    read = []
    for _ in range(2):
        first = file.read(1)
        read.append(first + file.read(_width(first[0]) - 1))
    kind, size = read
    return _number(kind), _number(size) & ((1 << 7 * len(size)) - 1)


def _width(first: int) -> int:
    """Bytes of a number of variable length, by its first byte. IndexError if it begins none."""
    if not first:
        raise IndexError("no number of EBML")
    return 9 - first.bit_length()


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")

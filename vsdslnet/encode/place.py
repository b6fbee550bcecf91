"""Where a file may be written; asked before any work, as that can take minutes or days."""

from __future__ import annotations

import os
from pathlib import Path

from vsdslnet.errors import ArgumentError, OutputError, is_utf8

__all__ = ["check_name", "check_place", "check_possible"]


def check_place(output: Path, *, suffix: str) -> None:
    """Refuse a page's or a LUT's name, as :func:`check_name` does, or its folder (OutputError).

    A file of that name is replaced.
    """
    check_name(output, suffixes=(suffix,))
    if not os.access(output.parent, os.W_OK):
        raise OutputError(f"{output.parent}: can't be written to; name another place")


def check_possible(output: Path) -> None:
    """Refuse a name that no file can have, wherever it lies (OutputError)."""
    if not is_utf8(str(output.absolute())):
        raise OutputError(f"{output}: its path is not UTF-8; take another")
    try:
        output.exists()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"{output}: can't be written ({why}); take another name") from None


def check_name(output: Path, *, suffixes: tuple[str, ...]) -> None:
    """Refuse a name without one of the suffixes (ArgumentError), or one that no file can have (OutputError)."""
    check_possible(output)
    if output.suffix.lower() not in suffixes:
        raise ArgumentError("output", str(output), "a name ending in " + ", ".join(suffixes))
    if output.is_dir():
        raise OutputError(f"{output}: is a directory; name a file in it")
    if not output.parent.is_dir():
        raise OutputError(f"{output.parent}: there is no such directory; make it first")

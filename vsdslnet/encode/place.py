"""Where a page or a LUT may be written; asked before any work, as that can take minutes."""

from __future__ import annotations

import os
from pathlib import Path

from vsdslnet.errors import ArgumentError, OutputError

__all__ = ["check_place"]


def check_place(output: Path, *, suffix: str) -> None:
    """Refuse a name without the suffix (ArgumentError), which a film would have, or a place that is none (OutputError).

    A file of that name is replaced.
    """
    if output.suffix.lower() != suffix:
        raise ArgumentError("output", str(output), f"a name ending in {suffix}")
    if output.is_dir():
        raise OutputError(f"{output}: is a directory; name a file in it")
    if not output.parent.is_dir():
        raise OutputError(f"{output.parent}: there is no such directory; make it first")
    if not os.access(output.parent, os.W_OK):
        raise OutputError(f"{output.parent}: can't be written to; name another place")

"""The process's own streams, made fit for work that may take days: whoever reads them may be gone by then."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["prepare_standard_streams"]


def prepare_standard_streams() -> None:
    """Open what a caller has closed (``2>&-``, a service) onto nothing, and let no error message stop the work.

    Libraries print past Python by the streams' numbers, which the next file that is opened would get.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            try:
                os.fstat(number)
            except OSError:
                os.dup2(nothing, number)
            if nothing != number:
                os.close(nothing)
            setattr(sys, name, Path(os.devnull).open("w" if number else "r", encoding="utf-8"))  # noqa: SIM115
    sys.stderr = _Forgiving(sys.stderr)


class _Forgiving:
    """A text stream that can't be written to in silence: its disk is full, or nobody reads it any more."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

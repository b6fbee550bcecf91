"""What libraries print past Python, on the process's error stream."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Caught", "stderr_caught"]


class Caught:
    """``text``: what was printed, once the block has ended."""

    text = ""


@contextmanager
def stderr_caught(caught: Caught | None = None) -> Iterator[None]:
    """Keep from the error stream what anything in this process prints there meanwhile, and put it into ``caught``."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        try:
            os.dup2(file.fileno(), 2)
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            if caught is not None:
                caught.text = file.read().decode(errors="replace")

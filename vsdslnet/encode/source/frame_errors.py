"""What VapourSynth says of a frame, as the error of the file that the frame is from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import vapoursynth as vs

from vsdslnet.errors import MediaError, one_line

__all__ = ["told_of"]


@contextmanager
def told_of(source: Path) -> Iterator[None]:
    """Within it a frame that can't be decoded or converted (interlaced or HDR further on) raises MediaError."""
    try:
        yield
    except vs.Error as error:
        raise MediaError(f"{source}: {one_line(error)}") from None

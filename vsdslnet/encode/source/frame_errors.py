"""What VapourSynth says of a frame, as the error of the file that the frame is from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import vapoursynth as vs

from vsdslnet.encode.source.script import frame_error
from vsdslnet.errors import MediaError

__all__ = ["told_of"]


@contextmanager
def told_of(source: Path) -> Iterator[None]:
    """Within it a frame that can't be decoded or converted (interlaced or HDR further on) raises MediaError."""
    try:
        yield
    except vs.Error as error:
        raise MediaError(f"{source}: {frame_error(error)}") from None

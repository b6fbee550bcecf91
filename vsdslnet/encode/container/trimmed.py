"""Sound whose beginning an edit list hides: what is hidden does not go over, and neither does its length.

FFmpeg counts hidden samples as a codec's own delay (``initial_padding``), which Matroska stores: players would then
leave out as much of the sound that is left. No Python binding lets one set it, so a tiny file of the first packets
that are heard is made and opened: its stream is a template with what delay remains.
"""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path
from typing import Any

import av

__all__ = ["trimmed_template"]

_FORMATS = ("mp4", "mov")  # those with edit lists
_PACKETS = 3


def trimmed_template(path: Path, index: int) -> Any | None:
    """An open container whose only stream describes stream ``index`` as trimmed; None if nothing is hidden."""
    with av.open(str(path)) as source:
        stream = source.streams[index]
        packets = (packet for packet in source.demux(stream) if packet.size)
        first = next(packets, None)
        if first is None or not first.is_discard:
            return None
        heard = list(islice((packet for packet in packets if not packet.is_discard), _PACKETS))
        for name in _FORMATS if heard else ():
            written = io.BytesIO()
            try:
                with av.open(written, "w", format=name) as target:
                    copy = target.add_stream_from_template(stream, opaque=True)
                    for packet in heard:
                        packet.stream = copy
                        target.mux(packet)
            except (av.FFmpegError, ValueError):
                continue
            return av.open(io.BytesIO(written.getvalue()))
    return None

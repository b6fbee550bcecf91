"""Sound whose beginning an edit list hides: what is hidden does not go over, and neither does its length.

But for the last hidden packet of each: what is heard first is decoded from both (windows of AAC overlap), and encoders
of AAC put one there for it. It goes over, and stays hidden.

FFmpeg counts hidden samples as a codec's own delay (``initial_padding``), which Matroska stores: players would then
leave out as much of the sound that is left. No Python binding lets one set it, so a tiny file of the first packets
that go over is made and opened: its stream is a template with what delay remains.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av

__all__ = ["trimmed_template", "without_hidden"]

_FORMATS = ("mp4", "mov")  # those with edit lists
_PACKETS = 4


def without_hidden(packets: Iterable[Any]) -> Iterator[Any]:
    """Packets of any streams without those that an edit list hides, but for the last before a sound begins."""
    begun: set[int] = set()
    last_hidden: dict[int, Any] = {}
    for packet in packets:
        index = packet.stream_index
        if packet.is_discard:
            last_hidden[index] = packet
            continue
        if index not in begun and index in last_hidden and packet.stream.type == "audio":
            yield last_hidden[index]
        begun.add(index)
        yield packet


def trimmed_template(path: Path, index: int) -> Any | None:
    """An open container whose only stream describes stream ``index`` as trimmed; None if nothing is hidden."""
    with av.open(str(path)) as source:
        stream = source.streams[index]
        packets = (packet for packet in source.demux(stream) if packet.size)
        first = next(packets, None)
        if first is None or not first.is_discard:
            return None
        kept = list(islice(without_hidden(chain([first], packets)), _PACKETS))
        for name in _FORMATS if kept else ():
            written = io.BytesIO()
            try:
                with av.open(written, "w", format=name) as target:
                    copy = target.add_stream_from_template(stream, opaque=True)
                    for packet in kept:
                        packet.stream = copy
                        target.mux(packet)
            except (av.FFmpegError, ValueError):
                continue
            return av.open(io.BytesIO(written.getvalue()))
    return None

"""What a source holds beside the picture, packet by packet, as the finished file takes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from vsdslnet.encode.container.errors import MuxError
from vsdslnet.encode.container.passage import stream_name
from vsdslnet.encode.container.text_subtitles import TextConverter
from vsdslnet.encode.container.trimmed import without_hidden
from vsdslnet.encode.source.probe import ENDLESS_SECONDS
from vsdslnet.encode.source.timeline import Placer, Timeline

__all__ = ["source_packets"]

# Formats in which sound may become another codec's under the same number, and the 16 bits with which frames begin,
# by FFmpeg's names of decoders.
_MAY_CHANGE = ("mpegts", "mpeg")
_SYNC_WORDS = {
    **dict.fromkeys(("ac3", "eac3"), (0x0B77, 0xFFFF)),
    **dict.fromkeys(("mp2", "mp2float", "mp3", "mp3float"), (0xFFE0, 0xFFE0)),
}
_ANOTHER_KIND_PACKETS = 8
# No packet of sound lasts longer.
_LONGEST_SOUND_SECONDS = 60


def source_packets(
    source: Any, converters: Mapping[int, TextConverter | None], timeline: Timeline
) -> Iterator[tuple[Any, int]]:
    """(packet, its stream's index in the source) of the streams that ``converters`` names, at the programme's time.

    What edit lists trim away and what is damaged is left out, and text becomes what its converter makes of it.
    MuxError where a stream becomes one of another kind.
    """
    ends: dict[int, int] = {}
    strange: dict[int, int] = {}  # packets in a row
    for packet in without_hidden(_placed(source, converters, timeline)):
        index = packet.stream_index
        if source.format.name in _MAY_CHANGE and not _begins_as(packet):
            strange[index] = strange.get(index, 0) + 1
            if strange[index] == _ANOTHER_KIND_PACKETS:
                raise MuxError(
                    f"{stream_name(packet.stream)}, which is of another kind from "
                    f"{float((packet.pts or 0) * packet.time_base):.1f} s on (cut the source there)"
                )
            continue  # damage
        strange[index] = 0
        if packet.pts is None and packet.dts is None:  # a cover has no time; damaged sound goes on
            packet.pts = packet.dts = ends.get(index, 0)
        ends[index] = (packet.pts if packet.pts is not None else packet.dts) + (packet.duration or 0)
        converter = converters[index]
        if converter is not None:
            packet = converter.packet(packet)
        if packet is not None:
            yield packet, index


def _begins_as(packet: Any) -> bool:
    """Whether a packet of sound begins with its codec's sync word, as far as it has one."""
    context = packet.stream.codec_context
    sync, mask = _SYNC_WORDS.get(context.name if context is not None else "", (0, 0))
    return int.from_bytes(bytes(packet)[:2], "big") & mask == sync


def _placed(source: Any, indices: Iterable[int], timeline: Timeline) -> Iterator[Any]:
    """The source's packets at the programme's time."""
    streams = [source.streams[index] for index in indices]
    placer = Placer(timeline)
    lasted: dict[int, int] = {}
    for packet in source.demux(streams) if streams else ():
        if not packet.size:
            continue
        added = round(placer.added_seconds(packet.stream_index) / Fraction(packet.time_base))
        packet.pts = None if packet.pts is None else packet.pts + added
        packet.dts = None if packet.dts is None else packet.dts + added
        seconds = (packet.duration or 0) * Fraction(packet.time_base)
        # The last one of joined Ogg files is below 0, or that in 32 bits without a sign.
        if seconds < 0 or (packet.stream.type == "audio" and seconds > _LONGEST_SOUND_SECONDS):
            packet.duration = lasted.get(packet.stream_index, 0)
        elif seconds >= ENDLESS_SECONDS:
            packet.duration = 0
        lasted[packet.stream_index] = packet.duration or 0
        yield packet

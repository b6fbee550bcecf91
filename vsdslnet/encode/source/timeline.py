"""From a source's timestamps to the programme's: it starts at 0, and timestamps that start again go on.

Recordings that were joined (``cat a.ts b.ts``, a receiver that was retuned) count from their own start each. What a
join needs is found in one reading of the packets, and kept as seconds to add from the n-th packet of a stream on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import msgspec

from vsdslnet.encode.source.missing_times import INVALID_TIMESTAMP

__all__ = ["Placer", "Timeline", "continued", "read_timeline"]

_TIMESTAMPS_MAY_JUMP = 0x0200  # AVFMT_TS_DISCONT of FFmpeg
# A step back by more is another recording, not a muxer's disorder (FFmpeg's own bound).
_STEP_BACK_SECONDS = 0.1
# A step forward by more, which no other stream fills (FFmpeg's -dts_delta_threshold).
_STEP_FORWARD_SECONDS = 10.0
# A picture may come before one that is shown earlier by no more (the decoded picture buffer of H.264 and HEVC).
_REORDERED_PACKETS = 16
# Packets between the first and the last stream's step at one join.
_JOIN_PACKETS = 500


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Where a source's packets lie in the programme.

    ``start_seconds``    the source's own time of the programme's start.
    ``added``            by stream: (first packet, seconds to add from it on), packets counted from 0.
    """

    start_seconds: float = 0.0
    added: dict[int, list[tuple[int, float]]] = {}


class Placer:
    """Tells for packets in the file's order what to add to their times. One for each reading."""

    def __init__(self, timeline: Timeline) -> None:
        self._start = Fraction(timeline.start_seconds)
        self._added = {stream: list(steps) for stream, steps in timeline.added.items()}
        self._seen: dict[int, int] = {}
        self._now: dict[int, Fraction] = {}

    def added_seconds(self, stream: int) -> Fraction:
        """For the next packet of this stream."""
        number = self._seen.get(stream, 0)
        self._seen[stream] = number + 1
        steps = self._added.get(stream)
        while steps and steps[0][0] <= number:
            self._now[stream] = Fraction(steps.pop(0)[1])
        return self._now.get(stream, Fraction(0)) - self._start


@dataclass
class _Track:
    """What is known of a stream with packets one after the other (sound, a picture)."""

    at: list[float] = field(default_factory=list)  # decoding times
    shown: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # in the file, counted in packets

    def steps(self, forward: set[int]) -> list[int]:
        """Packets with which another recording begins; one that the next packets don't follow is damage."""
        found = []
        for number in range(1, len(self.at)):
            before, here = self.at[number - 1], self.at[number]
            after = self.at[number + 1] if number + 1 < len(self.at) else here
            back = here < before - _STEP_BACK_SECONDS and after < before - _STEP_BACK_SECONDS
            if back or (number in forward and after >= here - _STEP_BACK_SECONDS):
                found.append(number)
        return found


def read_timeline(container: av.container.InputContainer) -> Timeline:
    """The timeline of a file that was just opened; reads its packets if its format allows timestamps to jump."""
    start = (container.start_time or 0) / av.time_base
    if not container.format.flags & _TIMESTAMPS_MAY_JUMP:
        return Timeline(start_seconds=start)
    tracks: dict[int, _Track] = {}
    forward: dict[int, set[int]] = {}
    following: dict[int, set[int]] = {}
    sparse: dict[int, list[int]] = {}
    last: dict[int, float] = {}
    behind: set[int] = set()  # streams that have not stepped forward since another did
    for place, packet in enumerate(_packets(container)):
        index, unit = packet.stream_index, float(packet.time_base)
        if packet.stream.type not in ("audio", "video"):
            sparse.setdefault(index, []).append(place)
            continue
        track = tracks.setdefault(index, _Track())
        stamp = packet.dts if packet.dts is not None else packet.pts
        at = track.at[-1] if stamp is None and track.at else (stamp or 0) * unit
        if index in last and at > max(last.values()) + _STEP_FORWARD_SECONDS:
            forward.setdefault(index, set()).add(len(track.at))
            behind = set(last) - {index}
        elif index in behind and at > last[index] + _STEP_FORWARD_SECONDS:
            following.setdefault(index, set()).add(len(track.at))
            behind.discard(index)
        last[index] = at
        track.at.append(at)
        shown = at if packet.pts is None else packet.pts * unit
        track.shown.append(shown)
        track.ends.append(shown + (packet.duration or 0) * unit)
        track.places.append(place)
    return Timeline(start_seconds=start, added=_added(tracks, forward, following, sparse))


def continued(timestamps: Sequence[int], time_base: Fraction, added: Sequence[tuple[int, float]]) -> list[int]:
    """Timestamps of frames in the order in which they are shown, going on where they start again."""
    waiting, now = list(added), Fraction(0)
    gone_on: list[int] = []
    for number, at in enumerate(timestamps):
        if waiting and number and at != INVALID_TIMESTAMP != timestamps[number - 1]:
            step = float((at - timestamps[number - 1]) * time_base)
            if step < -_STEP_BACK_SECONDS or (step > _STEP_FORWARD_SECONDS and waiting[0][1] < float(now)):
                now = Fraction(waiting.pop(0)[1])
        gone_on.append(at if at == INVALID_TIMESTAMP else at + round(now / time_base))
    return gone_on


def _packets(container: Any) -> Any:
    try:
        yield from (packet for packet in container.demux() if packet.size and not _is_header(packet))
    except av.FFmpegError:
        return  # damage: what follows can't be read by anybody


def _is_header(packet: Any) -> bool:
    """Whether a packet is a Theora stream's header (its specification, 6.1), as joined Ogg files have in the middle."""
    context = packet.stream.codec_context
    return context is not None and context.name == "theora" and bytes(packet)[0] & 0x80 != 0


def _added(
    tracks: dict[int, _Track],
    forward: dict[int, set[int]],
    following: dict[int, set[int]],
    sparse: dict[int, list[int]],
) -> dict[int, list[tuple[int, float]]]:
    steps = sorted(
        (track.places[number], index, number)
        for index, track in tracks.items()
        for number in track.steps(forward.get(index, set()) | following.get(index, set()))
    )
    added: dict[int, list[tuple[int, float]]] = {}
    joins: list[tuple[int, float]] = []
    while steps:
        first = steps[0][0]
        join = {index: number for place, index, number in reversed(steps) if place < first + _JOIN_PACKETS}
        steps = [step for step in steps if join.get(step[1]) != step[2]]
        if joins and all(number in following.get(index, ()) for index, number in join.items()):
            for index, number in join.items():  # long after the stream that they follow
                added.setdefault(index, []).append((number, joins[-1][1]))
            continue
        ended = max(_latest(tracks[index], added.get(index, []), number) for index, number in join.items())
        begins = min(_earliest(tracks[index], number) for index, number in join.items())
        for index, number in join.items():
            added.setdefault(index, []).append((number, ended - begins))
        joins.append((first, ended - begins))
    for index, track in tracks.items():
        if joins and index not in added:
            _join_late(added, index, track.places[:1], joins)
    for index, places in sparse.items():
        _join_late(added, index, places, joins)
    return added


def _latest(track: _Track, added: list[tuple[int, float]], number: int) -> float:
    """The programme's time at which a stream's packets before this one end."""
    since, seconds = added[-1] if added else (0, 0.0)
    return max(track.ends[since:number], default=track.at[number - 1]) + seconds


def _earliest(track: _Track, number: int) -> float:
    """The time at which a stream's packets from this one on begin: pictures come in decoding order."""
    return min(track.shown[number : number + _REORDERED_PACKETS])


def _join_late(
    added: dict[int, list[tuple[int, float]]], index: int, places: Sequence[int], joins: Sequence[tuple[int, float]]
) -> None:
    """Streams that show no step themselves (subtitles, sound that begins later) follow the file's order."""
    for first, seconds in joins:
        number = next((number for number, place in enumerate(places) if place >= first), None)
        if number is not None:
            added.setdefault(index, []).append((number, seconds))

"""The picture and everything else that a source holds -> the finished file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import av
import av.logging

from vsdslnet.color.h273 import Transfer
from vsdslnet.encode.chunk.encoder_parameters import INTRA_ENCODERS
from vsdslnet.encode.container.chapters import programme_chapters
from vsdslnet.encode.container.errors import MuxError, refused
from vsdslnet.encode.container.passage import (
    CONTAINER_FORMATS,
    Passage,
    container_options,
    is_cover,
    passage_of,
    stream_name,
)
from vsdslnet.encode.container.source_packets import source_packets
from vsdslnet.encode.container.tags import fresh_tags, stream_tags
from vsdslnet.encode.container.template import StandingAlone, open_template
from vsdslnet.encode.container.text_subtitles import TextConverter, add_text_stream
from vsdslnet.encode.container.trimmed import trimmed_template
from vsdslnet.encode.container.video_packets import PictureTimes, VideoPacket, VideoPackets
from vsdslnet.encode.ffmpeg_log import ffmpeg_messages
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.source.tracks import open_tracks
from vsdslnet.errors import JobError
from vsdslnet.hdr10 import ContentLight, mastering_display

if TYPE_CHECKING:
    from vsdslnet.hdr10plus.programme import Programme

__all__ = ["Pictures", "mux", "write_container"]

_CODEC_TAGS = {"hevc": "hvc1", "av1": "av01"}
# Demuxers of formats whose header says how long a file lasts; others guess it from what there is.
_SAY_HOW_LONG = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv", "asf")
# A last frame or sound may be shorter than the header has it.
_MISSING_SECONDS = 1.0
_EQUAL_TIMES_ALLOWED = 0x20000  # AVFMT_TS_NONSTRICT of FFmpeg


class Pictures(Protocol):
    """The coded picture of a programme."""

    def first_picture(self) -> bytes:
        """The first picture with its headers, as an elementary stream."""

    def __iter__(self) -> Iterator[VideoPacket]:
        """Packets in decoding order."""


def mux(
    job: Job,
    folder: Path,
    light: ContentLight | None,
    *,
    dynamic: Programme | None,
    output: Path,
    target: Path,
    drop: Collection[int] = (),
) -> list[str]:
    """Write the finished file to ``target``, in the container that the name ``output`` asks for.

    Returns, in words, what the source holds and the file lacks. JobError or OSError if it fails.
    """
    packets = VideoPackets(job, folder, light, dynamic)
    with open_tracks(job.source.beside) as source:
        passage = passage_of(source, output, main=job.source.track, drop=drop, suffixes=job.form.suffixes)
        try:
            lost = write_container(job, passage, packets, light, source=source, output=output, target=str(target))
        except MuxError as error:
            raise JobError(f"{target.name}: can't be muxed: {error}") from None
    return lost


def write_container(
    job: Job,
    passage: Passage,
    pictures: Pictures,
    light: ContentLight | None,
    *,
    source: Any,
    output: Path,
    target: Any,
) -> list[str]:
    """Write everything to ``target``, a path or a file, in the container that ``output`` names.

    Returns, in words, what the file lacks. MuxError if the muxer refuses something, OSError if ``target`` does.
    """
    container_format = CONTAINER_FORMATS[output.suffix.lower()]
    options = container_options(container_format) if isinstance(target, str) else {}
    template = open_template(
        pictures.first_picture(),
        stream_format=_standing_alone(job) or job.suffix,
        mastering=mastering_display(job.identity.settings.peak_nits),
        light=light,
        display_matrix=job.source.display_matrix,
    )
    with (
        ffmpeg_messages(av.logging.ERROR),
        template,
        _written(target, container_format, options) as container,
    ):
        file = _File(container)
        original = None if job.source.track is None else source.streams[job.source.track]
        picture = file.add_picture(template.streams.video[0], original, job)
        others = file.add_others(source, passage)
        file.begin(source, job)
        coded = pictures if container_format == "matroska" else _lasting(pictures, PictureTimes(job))
        for packet, stream in _in_time(source, others, coded, picture, job):
            file.write(packet, stream)
        file.end()
    unread = [
        f"{other.converter.unread} lines of {stream_name(source.streams[index])} (they can't be read)"
        for index, other in others.items()
        if other.converter is not None and other.converter.unread
    ]
    missing = _missing_end(source, passage, job, file.end_seconds)
    return [*passage.left_out, *_lost_aspect(job, container_format), *unread, *missing]


@contextmanager
def _written(target: Any, container_format: str, options: dict[str, str]) -> Iterator[Any]:
    """The output, closed in the end; what went wrong before is not covered up by a refusal to close."""
    container = av.open(target, "w", format=container_format, options=options)
    try:
        yield container
    except BaseException:
        with suppress(av.FFmpegError, OSError, ValueError):
            container.close()
        raise
    container.close()


class _File:
    """The output, which names the stream when a muxer refuses something. ``end_seconds``: of all that was written."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self.end_seconds = 0.0
        self._names: dict[int, str] = {}
        self._last: dict[int, int] = {}
        self._matroska = container.format.name == "matroska"
        self._apart = 0 if container.format.flags & _EQUAL_TIMES_ALLOWED else 1

    def add_picture(self, template: Any, original: Any, job: Job) -> Any:
        """The stream of the HDR picture, described by ``template``, named and marked as the original was, if any."""
        video = self._container.add_stream_from_template(template, opaque=True)
        video.time_base = Fraction(*job.time_base)
        video.codec_context.framerate = job.frame_rate
        video.codec_context.sample_aspect_ratio = Fraction(*job.source.sample_aspect)
        if original is not None:
            video.metadata.update(stream_tags(original.metadata))
            video.disposition = original.disposition
        if job.form.fourcc:  # Matroska says ProRes's kind by it, too
            video.codec_context.codec_tag = job.form.fourcc
        elif not self._matroska:
            video.codec_context.codec_tag = _CODEC_TAGS[job.identity.settings.codec]
        self._names[video.index] = "the picture"
        return video

    def add_others(self, source: Any, passage: Passage) -> dict[int, _Other]:
        """The streams beside the picture, by their index in the source."""
        added: dict[int, _Other] = {}
        for index in passage.streams:
            original = source.streams[index]
            codec = passage.as_text.get(index)
            if codec is None:
                stream = self._copy_of(original, Path(source.name))
                added[index] = _Other(stream, None)
            else:
                stream = add_text_stream(self._container, original, codec)
                added[index] = _Other(stream, TextConverter(original, stream))
            stream.disposition = original.disposition
            stream.metadata.update(stream_tags(original.metadata))
            self._names[stream.index] = stream_name(original)
        for attached in passage.attached:
            stream = self._container.add_attachment(attached.name, attached.mimetype, attached.data)
            stream.metadata.update(attached.tags)
        return added

    def _copy_of(self, original: Any, path: Path) -> Any:
        trimmed = trimmed_template(path, original.index) if original.type == "audio" else None
        if trimmed is None:
            return self._container.add_stream_from_template(original, opaque=True)
        with trimmed:
            return self._container.add_stream_from_template(trimmed.streams[0], opaque=True)

    def begin(self, source: Any, job: Job) -> None:
        """Write the header, with tags and chapters: from here on streams have the time base that the muxer gives."""
        self._container.metadata.update(fresh_tags(source.metadata))
        start = job.timeline.start_seconds
        chapters = programme_chapters(source.chapters(), start_seconds=start, as_text=not self._matroska)
        if chapters:
            self._container.set_chapters(chapters)
        try:
            self._container.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise refused("the header", error) from None

    def write(self, packet: Any, stream: Any) -> None:
        """Hand over a packet, its decoding time not before the last one's of its stream."""
        packet.stream = stream
        packet.rescale_ts(stream.time_base)
        if packet.dts is None:
            packet.dts = packet.pts
        last = self._last.get(stream.index)
        if last is not None and packet.dts < last + self._apart:
            packet.dts = last + self._apart
        if packet.pts is None or packet.pts < packet.dts:
            packet.pts = packet.dts
        self._last[stream.index] = packet.dts
        self.end_seconds = max(self.end_seconds, float((packet.pts + (packet.duration or 0)) * stream.time_base))
        try:
            self._container.mux_one(packet)
        except (av.FFmpegError, ValueError) as error:
            raise refused(self._names[stream.index], error) from None

    def end(self) -> None:
        """Write what the muxer keeps for the end."""
        try:
            self._container.close()
        except (av.FFmpegError, ValueError) as error:
            raise refused("the end of the file", error) from None


@dataclass(frozen=True)
class _Other:
    """A stream of the output beside the picture, and what writes its packets if they change."""

    stream: Any
    converter: TextConverter | None


def _lasting(pictures: Iterable[VideoPacket], times: PictureTimes) -> Iterator[VideoPacket]:
    """For containers that count to the next picture's decoding: what the last one shown stays longer than others, the
    last one decoded takes, or the track would end before the film does."""
    waiting: VideoPacket | None = None
    for packet in pictures:
        if waiting is not None:
            yield waiting
        waiting = packet
    if waiting is not None:
        is_shown_last = waiting.pts == times.pts[-1]
        yield waiting if is_shown_last else replace(waiting, duration=waiting.duration + times.last_stays_longer)


def _in_time(
    source: Any, others: dict[int, _Other], pictures: Iterable[VideoPacket], picture: Any, job: Job
) -> Iterator[tuple[Any, Any]]:
    """(packet, stream) of everything, about in the order of time, as muxers want them."""
    time_base = Fraction(*job.time_base)
    converters = {index: other.converter for index, other in others.items()}
    coded = iter(pictures)
    waiting = next(coded, None)
    for packet, index in source_packets(source, converters, job.timeline):
        at = (packet.dts if packet.dts is not None else packet.pts) * Fraction(packet.time_base)
        while waiting is not None and waiting.dts * time_base <= at:
            yield _video_packet(waiting, time_base), picture
            waiting = next(coded, None)
        yield packet, others[index].stream
    while waiting is not None:
        yield _video_packet(waiting, time_base), picture
        waiting = next(coded, None)


def _video_packet(coded: VideoPacket, time_base: Fraction) -> Any:
    packet = av.Packet(coded.data)
    packet.time_base = time_base
    packet.pts, packet.dts, packet.duration = coded.pts, coded.dts, coded.duration
    packet.is_keyframe = coded.is_keyframe
    return packet


def _standing_alone(job: Job) -> StandingAlone | None:
    """What the container has to be told of ProRes and DNxHR."""
    settings = job.identity.settings
    if not job.form.fourcc:
        return None
    encoder = INTRA_ENCODERS[settings.codec]
    return StandingAlone(
        fourcc=job.form.fourcc,
        encoder=encoder.name,
        pixel_format=encoder.pixel_formats[job.form.pixels],
        profile=encoder.profiles[settings.profile],
        size=job.form.delivered_size(*job.source.shown_size),
        sample_aspect=Fraction(*job.source.sample_aspect),
        transfer=Transfer.PQ if settings.transfer == "pq" else Transfer.HLG,
    )


def _lost_aspect(job: Job, container_format: str) -> list[str]:
    """AV1 has no sample aspect ratio of its own, and Matroska's can't be set through PyAV; MP4's can."""
    aspect = Fraction(*job.source.sample_aspect)
    if aspect == 1 or job.suffix != "obu" or container_format != "matroska":
        return []
    return [f"sample aspect ratio {aspect.numerator}:{aspect.denominator} (AV1 needs .mp4 for it)"]


def _missing_end(source: Any, passage: Passage, job: Job, end_seconds: float) -> list[str]:
    """Seconds that the source's header promises and its packets don't hold, as after a broken download."""
    if job.source.call is not None:  # how long a script lasts is held against its tracks before
        return []
    carried = {job.source.track, *passage.streams}
    timed = [s for s in source.streams if s.type in ("audio", "subtitle", "video") and not is_cover(s)]
    if source.format.name not in _SAY_HOW_LONG or any(stream.index not in carried for stream in timed):
        return []  # what is left out may last longer
    # Some count from 0 and some from the programme's start.
    lasts = (job.source.duration_seconds or 0.0) - max(0.0, job.timeline.start_seconds)
    if lasts - end_seconds < _MISSING_SECONDS:
        return []
    return [
        f"the last {lasts - end_seconds:.1f} s (the source says that it lasts {lasts:.1f} s and ends before: "
        "check whether it is whole)"
    ]

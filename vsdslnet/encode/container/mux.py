"""Chunks and everything else the source holds -> the finished file."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from vsdslnet.encode.container.template import open_template
from vsdslnet.encode.container.video_packets import VideoPacket, VideoPackets
from vsdslnet.encode.job.description import JobPlan
from vsdslnet.encode.source.probe import open_media
from vsdslnet.errors import JobError
from vsdslnet.hdr10 import ContentLight, mastering_display

if TYPE_CHECKING:
    from vsdslnet.hdr10plus.programme import Programme

__all__ = ["mux"]

# Tags that describe the old file's bits, not its content; muxers write their own.
_STALE_TAGS = frozenset({"encoder", "major_brand", "minor_version", "compatible_brands", "duration", "bps"})
_STALE_PREFIXES = ("_statistics", "number_of_", "bps-", "duration-", "vendor_id")
_CONTAINER_FORMATS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}
_CODEC_TAGS = {"hevc": "hvc1", "av1": "av01"}


def mux(
    plan: JobPlan, folder: Path, light: ContentLight | None, *, dynamic: Programme | None, suffix: str, target: Path
) -> list[str]:
    """Write the finished file to ``target`` in the container that ``suffix`` names.

    Returns, in words, what the source holds and the container can't carry. JobError or OSError if it fails.
    """
    settings = plan.identity.settings
    packets = VideoPackets(plan, folder, light, dynamic)
    container_format = _CONTAINER_FORMATS[suffix.lower()]
    options = {} if container_format == "matroska" else {"movflags": "+faststart"}
    with (
        open_media(Path(plan.source.path)) as source,
        open_template(
            packets.first_picture(),
            stream_format=plan.suffix,
            mastering=mastering_display(settings.peak_nits),
            light=light,
            display_matrix=plan.source.display_matrix,
        ) as template,
    ):
        try:
            with av.open(str(target), "w", format=container_format, options=options) as output:
                original = source.streams[plan.source.track]
                video = _add_video(output, template.streams.video[0], original, plan)
                if container_format != "matroska":
                    video.codec_context.codec_tag = _CODEC_TAGS[settings.codec]
                copies, dropped = _add_others(output, source, plan.source.track)
                dropped += _lost_aspect(plan, container_format)
                output.metadata.update(_fresh(source.metadata))
                _copy_chapters(source, output, plan)
                for packet in _interleave(source, copies, video, packets, plan):
                    output.mux(packet)
        except av.FFmpegError as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise JobError(f"{target.name}: can't be muxed ({error.strerror})") from None
        dropped += _lost_tags(_fresh(source.metadata), target, container_format)
    return dropped


def _add_video(output: Any, template: Any, original: Any, plan: JobPlan) -> Any:
    video = output.add_stream_from_template(template, opaque=True)
    video.time_base = Fraction(*plan.time_base)
    video.codec_context.framerate = plan.frame_rate
    video.codec_context.sample_aspect_ratio = Fraction(*plan.source.sample_aspect)
    video.metadata.update(_fresh(original.metadata))
    video.disposition = original.disposition
    return video


def _add_others(output: Any, source: Any, track: int) -> tuple[dict[int, Any], list[str]]:
    """Streams that pass through, by their index in the source, and those that can't."""
    copies: dict[int, Any] = {}
    dropped: list[str] = []
    for stream in source.streams:
        if stream.index == track:
            continue
        name = f"{stream.type} stream {stream.index}"
        cover = stream.type == "video" and stream.disposition & av.stream.Disposition.attached_pic
        try:
            if stream.type == "attachment" and output.format.name == "matroska":
                copy = output.add_attachment(
                    stream.name or f"attachment-{stream.index}", stream.mimetype or "", stream.data
                )
            elif stream.type in ("audio", "subtitle") or cover:
                copy = output.add_stream_from_template(stream, opaque=True)
                copies[stream.index] = copy
                copy.disposition = stream.disposition
            else:
                dropped.append(f"{name} (a second picture)" if stream.type == "video" else name)
                continue
        except (ValueError, av.FFmpegError) as error:
            dropped.append(f"{name} ({error})")
            continue
        copy.metadata.update(_fresh(stream.metadata))
    return copies, dropped


def _lost_tags(tags: dict[str, str], target: Path, container_format: str) -> list[str]:
    """Tags of the file as a whole that the container has no place for; MP4's are few."""
    with av.open(str(target), format=container_format) as written:
        kept = {name.lower() for name in written.metadata}
    return [f"tag {name} ({container_format} has no place for it)" for name in tags if name.lower() not in kept]


def _lost_aspect(plan: JobPlan, container_format: str) -> list[str]:
    """AV1 has no sample aspect ratio of its own, and Matroska's can't be set through PyAV; MP4's can."""
    aspect = Fraction(*plan.source.sample_aspect)
    if aspect == 1 or plan.suffix == "hevc" or container_format != "matroska":
        return []
    return [f"sample aspect ratio {aspect.numerator}:{aspect.denominator} (AV1 needs .mp4 for it)"]


def _copy_chapters(source: Any, output: Any, plan: JobPlan) -> None:
    chapters = source.chapters()
    for chapter in chapters:
        shift = round(Fraction(plan.source.start_seconds) / Fraction(chapter["time_base"]))
        chapter["start"] -= shift
        chapter["end"] -= shift
    if chapters:
        output.set_chapters(chapters)


def _interleave(source: Any, copies: dict[int, Any], video: Any, packets: VideoPackets, plan: JobPlan) -> Iterator[Any]:
    """All packets, about in the order of time, as the muxer wants them."""
    time_base = Fraction(*plan.time_base)
    pictures = iter(packets)
    waiting = next(pictures, None)
    streams = [source.streams[index] for index in copies]
    for packet in source.demux(streams) if streams else ():
        if packet.size == 0 or (packet.dts is None and packet.pts is None):
            continue
        unit = Fraction(packet.time_base)
        shift = round(Fraction(plan.source.start_seconds) / unit)
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
        at = unit * (packet.dts if packet.dts is not None else packet.pts or 0)
        while waiting is not None and waiting.dts * time_base <= at:
            yield _video_packet(waiting, video, time_base)
            waiting = next(pictures, None)
        packet.stream = copies[packet.stream.index]
        yield packet
    while waiting is not None:
        yield _video_packet(waiting, video, time_base)
        waiting = next(pictures, None)


def _video_packet(coded: VideoPacket, video: Any, time_base: Fraction) -> Any:
    packet = av.Packet(coded.data)
    packet.stream, packet.time_base = video, time_base
    packet.pts, packet.dts, packet.duration = coded.pts, coded.dts, coded.duration
    packet.is_keyframe = coded.is_keyframe
    return packet


def _fresh(tags: dict[str, str]) -> dict[str, str]:
    """Tags without those that the new file makes untrue."""
    return {
        name: value
        for name, value in tags.items()
        if name.lower() not in _STALE_TAGS and not name.lower().startswith(_STALE_PREFIXES)
    }

"""What becomes of everything in a source beside its picture: carried, converted, put inside as a file, or left out.

Asked before any work. What a container can't hold and another one could is refused; what none can hold, or what no
HDR10 file has, is named. Sound is never left out unasked.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av

from vsdslnet.encode.container.matroska_chapters import lost_chapters
from vsdslnet.encode.container.tags import fresh_tags, lost_tags
from vsdslnet.encode.ffmpeg_log import ffmpeg_messages
from vsdslnet.errors import ArgumentError, OutputError

__all__ = [
    "CONTAINER_FORMATS",
    "Attached",
    "Passage",
    "container_options",
    "is_cover",
    "lost_to_pictures",
    "outlook",
    "passage_of",
    "stream_name",
]

# FFmpeg's names of the containers, by the suffix of a file.
CONTAINER_FORMATS = {".mkv": "matroska", ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}
# One of each kind, for the cure.
_SUFFIXES = (".mkv", ".mp4", ".mov")
_TEXT_CODECS = {"matroska": "subrip", "mp4": "mov_text", "mov": "mov_text"}
# What a cover is called in Matroska, and its MIME type, by codec.
_COVERS = {
    "mjpeg": ("cover.jpg", "image/jpeg"),
    "png": ("cover.png", "image/png"),
    "bmp": ("cover.bmp", "image/bmp"),
    "gif": ("cover.gif", "image/gif"),
    "webp": ("cover.webp", "image/webp"),
    "tiff": ("cover.tiff", "image/tiff"),
}
_UNKNOWN_MIMETYPE = "application/octet-stream"
_SILENT_ZEROS = frozenset(
    f"pcm_{kind}{order}" for kind in ("s16", "s24", "s32", "f32", "f64") for order in ("le", "be")
)
_SILENCE_SAMPLES = 64
_PACKETS_OF_HALF_AN_HOUR = 150_000
_CONVERT = "convert it first (ffmpeg -i IN -map 0 -c copy -c:a flac OUT.mkv)"
_CONVERT_TO_PCM = "convert it first (ffmpeg -i IN -map 0 -c copy -c:a pcm_s24le OUT.mkv)"
_KINDS = {"audio": "sound", "subtitle": "subtitle"}


@dataclass(frozen=True, kw_only=True)
class Attached:
    """A file inside the file, as Matroska has them."""

    name: str
    mimetype: str
    data: bytes
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Passage:
    """What is done with a source's other streams, by their index in it.

    ``copied``       streams whose packets go over as they are.
    ``as_text``      subtitles that are written anew, with the codec that they get.
    ``attached``     fonts, covers and the like.
    ``left_out``     what the file will lack, in words.
    """

    copied: tuple[int, ...]
    as_text: dict[int, str]
    attached: tuple[Attached, ...]
    left_out: tuple[str, ...]

    @property
    def streams(self) -> list[int]:
        """Those whose packets are read, in order."""
        return sorted((*self.copied, *self.as_text))


def container_options(container_format: str) -> dict[str, str]:
    """What a finished file's muxer is told."""
    return {} if container_format == "matroska" else {"movflags": "+faststart"}


def passage_of(
    source: Any, output: Path, *, main: int | None, drop: Collection[int] = (), suffixes: Sequence[str] = _SUFFIXES
) -> Passage:
    """What becomes of the streams of an open ``source`` in ``output``, whose picture is stream ``main``, if any.

    ``drop`` are streams that the user does without, ``suffixes`` the containers that the codec has. OutputError if a
    stream would be lost that need not be, with the cure; ArgumentError if there is no such stream to drop.
    """
    _check_drop(source, main, drop)
    wanted = CONTAINER_FORMATS[output.suffix.lower()]
    copied: list[int] = []
    as_text: dict[int, str] = {}
    attached: list[Attached] = []
    left_out: list[str] = []
    refused: list[Any] = []
    for stream in source.streams:
        if stream.index == main or stream.discard == av.stream.Discard.all:  # the latter are chapters' texts
            continue
        if stream.index in drop:
            left_out.append(f"{stream_name(stream)}, as asked")
        elif is_cover(stream):
            _place_cover(stream, Path(source.name), wanted, copied, attached, left_out)
        elif stream.type == "attachment":
            if wanted == "matroska":
                attached.append(_attachment(stream))
            else:
                left_out.append(f"{stream_name(stream)} (only .mkv has a place for it)")
        elif stream.type == "video":
            left_out.append(f"{stream_name(stream)} (a second picture)")
        elif stream.type == "data" and "timecode" in stream.metadata:
            continue  # a tag of the picture says it
        elif stream.type not in ("audio", "subtitle"):
            left_out.append(stream_name(stream))
        elif _is_empty(stream) and not _begins_late(Path(source.name), stream.index):
            left_out.append(f"{stream_name(stream)} (nothing in it can be read)")
        elif not _is_empty(stream) and _holds(stream, wanted):
            copied.append(stream.index)
        elif _is_text(stream):
            as_text[stream.index] = _TEXT_CODECS[wanted]
        elif stream.type == "audio" or _holders(stream, suffixes):
            refused.append(stream)
        elif stream.codec_context is None:
            left_out.append(f"{stream_name(stream)} (FFmpeg can't tell what it is)")
        else:
            left_out.append(f"{stream_name(stream)} (no container has a place for it)")
    if refused:
        raise OutputError(f"{output}: {_refusal(refused, output.suffix, suffixes)}")
    if source.streams and "matroska" in source.format.name:
        left_out += lost_chapters(Path(source.name), kept=len(source.chapters()))
    left_out += [f"tag {name} ({output.suffix} has no place for it)" for name in lost_tags(source.metadata, wanted)]
    return Passage(copied=tuple(copied), as_text=as_text, attached=tuple(attached), left_out=tuple(left_out))


def outlook(source: Any, path: Path, *, main: int | None) -> list[str]:
    """A line for each kind of container: what of an open ``source`` a file of it would lack."""
    lines = []
    for suffix in _SUFFIXES:
        try:
            lacks = "; ".join(passage_of(source, path.with_suffix(suffix), main=main).left_out)
            lines.append(f"as {suffix}: " + (f"without {lacks}" if lacks else "everything is kept"))
        except OutputError as error:
            lines.append(f"as {suffix}: not possible: {str(error).removeprefix(f'{path.with_suffix(suffix)}: ')}")
    lacks = "; ".join(lost_to_pictures(source, main=main))
    lines.append("as .exr, .png, .tif: " + (f"without {lacks}" if lacks else "everything is kept"))
    return lines


def lost_to_pictures(source: Any, *, main: int | None) -> list[str]:
    """What of an open ``source`` a sequence of pictures has no place for, in words."""
    lost = [stream_name(stream) for stream in source.streams if stream.index != main]
    lost += ["chapters"] if source.chapters() else []
    return [*lost, *(f"tag {name}" for name in fresh_tags(source.metadata))]


def stream_name(stream: Any) -> str:
    """What a person calls a stream: its kind, its number and what is in it."""
    if stream.type == "attachment":
        return f"attachment {stream.name or stream.index!r}"
    context = stream.codec_context
    details = [context.name if context is not None else "unknown codec", stream.metadata.get("language", "")]
    kind = "cover" if is_cover(stream) else _KINDS.get(stream.type, stream.type)
    return f"{kind} stream {stream.index} ({', '.join(filter(None, details))})"


def _check_drop(source: Any, main: int | None, drop: Collection[int]) -> None:
    others = [stream.index for stream in source.streams if stream.index != main]
    for index in drop:
        if index not in others:
            allowed = f"numbers of streams beside the picture ({', '.join(map(str, others)) or 'there are none'})"
            raise ArgumentError("drop", index, allowed, "see vsdslnet info")


def _refusal(streams: Sequence[Any], suffix: str, suffixes: Sequence[str]) -> str:
    """One line for all streams that the container can't hold."""
    holders = [other for other in suffixes if all(other in _holders(stream, suffixes) for stream in streams)]
    names = " and ".join(stream_name(stream) for stream in streams)
    cure = (
        f"name a file ending in {' or '.join(holders)}"
        if holders
        else _CONVERT
        if ".mkv" in suffixes
        else _CONVERT_TO_PCM
    )
    numbers = ",".join(str(stream.index) for stream in streams)
    return f"{suffix} can't hold {names}; {cure}, or do without it: --drop {numbers}"


def _holders(stream: Any, suffixes: Sequence[str]) -> list[str]:
    return [suffix for suffix in suffixes if not _is_empty(stream) and _holds(stream, CONTAINER_FORMATS[suffix])]


def _holds(stream: Any, container_format: str) -> bool:
    """Whether a muxer takes the stream: asked by writing a header with nothing else in it.

    With a moment of silence where that is all zeros: MP4 asks for the channels of PCM only when there are samples.
    """
    try:
        with ffmpeg_messages(None), av.open(io.BytesIO(), "w", format=container_format) as trial:
            copy = trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
            if stream.type == "audio" and stream.codec_context and stream.codec_context.name in _SILENT_ZEROS:
                silence = av.Packet(bytes(_SILENCE_SAMPLES * (stream.codec_context.block_align or 1)))
                silence.stream, silence.time_base, silence.pts, silence.dts = copy, copy.time_base, 0, 0
                trial.mux(silence)
    except (ValueError, av.FFmpegError):
        return False
    return True


def is_cover(stream: Any) -> bool:
    """Whether a stream is a picture that stands for the file."""
    return stream.type == "video" and bool(stream.disposition & av.stream.Disposition.attached_pic)


def _is_empty(stream: Any) -> bool:
    """A stream that is announced, but of which nothing was found to tell what it is."""
    context = stream.codec_context
    return stream.type == "audio" and context is not None and not context.sample_rate


def _begins_late(path: Path, index: int) -> bool:
    """Whether a stream that was empty when the file was opened has something after all: FFmpeg looks at the beginning.

    Half an hour of packets is looked through and no more, as a stream may well be announced and never sent.
    """
    with av.open(str(path)) as container:
        packets = islice(container.demux(), _PACKETS_OF_HALF_AN_HOUR)
        return any(packet.stream_index == index and packet.size for packet in packets)


def _is_text(stream: Any) -> bool:
    context = stream.codec_context
    return stream.type == "subtitle" and context is not None and context.codec.is_decoder and context.codec.text_sub


def _attachment(stream: Any) -> Attached:
    name = stream.name or f"attachment-{stream.index}"
    # Without a type Matroska's muxer refuses the whole file.
    return Attached(
        name=name, mimetype=stream.mimetype or _UNKNOWN_MIMETYPE, data=stream.data, tags=dict(stream.metadata)
    )


def _place_cover(
    stream: Any, path: Path, wanted: str, copied: list[int], attached: list[Attached], left_out: list[str]
) -> None:
    """A cover is an attachment in Matroska, and a stream of one picture in MP4."""
    codec = stream.codec_context.name if stream.codec_context is not None else ""
    if wanted != "matroska":
        # FFmpeg writes no covers into .mov, and says nothing.
        if wanted == "mp4" and _holds(stream, wanted):
            copied.append(stream.index)
        else:
            left_out.append(f"{stream_name(stream)} (.mkv has a place for it)")
        return
    name, mimetype = _COVERS.get(codec, ("", ""))
    mimetype = stream.metadata.get("mimetype", mimetype)
    data = _first_packet(path, stream.index) if mimetype else b""
    if not data:
        left_out.append(stream_name(stream))
        return
    tags = {key: value for key, value in stream.metadata.items() if key not in ("filename", "mimetype")}
    attached.append(Attached(name=stream.metadata.get("filename", name), mimetype=mimetype, data=data, tags=tags))


def _first_packet(path: Path, index: int) -> bytes:
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams[index]):
            if packet.size:
                return bytes(packet)
    return b""

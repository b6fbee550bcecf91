"""A stream template for the final mux: carries everything a container header has to say about the video.

FFmpeg's muxers take mastering display, content light and rotation from a stream's parameters, which no
Python binding lets one set. So a tiny MP4 of one picture is made, given the boxes in which MP4 says these
things (ISO/IEC 14496-12, 12.1.5-12.1.7 and 8.3.2), and opened: its stream is the template.
"""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from typing import Any, NamedTuple

import av

from vsdslnet.color.h273 import Matrix, Primaries
from vsdslnet.hdr10 import ContentLight, MasteringDisplay

__all__ = ["StandingAlone", "open_template"]

# Boxes on the way to the sample entry, each with the bytes of its own before its children.
_STBL = ((b"moov", 0), (b"trak", 0), (b"mdia", 0), (b"minf", 0), (b"stbl", 0))
_STSD_OWN_BYTES, _SAMPLE_ENTRY_OWN_BYTES = 8, 78
_SAMPLE_ENTRIES = {"hevc": b"hev1", "obu": b"av01"}
_FFMPEG_LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG
# Offset of the matrix in tkhd's body, version 0.
_TKHD_MATRIX_AT = 40


class StandingAlone(NamedTuple):
    """What MOV has to be told of a codec whose pictures say little: ``fourcc``, ``encoder`` (FFmpeg's name), its
    pixel format and profile, the picture's size and sample aspect ratio, the transfer (H.273).
    """

    fourcc: str
    encoder: str
    pixel_format: str
    profile: str
    size: tuple[int, int]
    sample_aspect: Fraction
    transfer: int


def open_template(
    first_picture: bytes,
    *,
    stream_format: str | StandingAlone,
    mastering: MasteringDisplay,
    light: ContentLight | None,
    display_matrix: tuple[int, ...],
) -> av.container.InputContainer:
    """A container whose only stream says what is in ``first_picture`` and what the arguments say.

    ``first_picture`` is an elementary stream ("hevc" or "obu") of one picture with its headers, or a picture that
    stands alone. Without ``light`` it says nothing of the mastering display either. ``display_matrix`` is empty or has
    nine numbers.
    """
    boxes = b""
    if light is not None:
        boxes = _box(b"mdcv", mastering.mp4_payload()) + _box(b"clli", light.payload())
    if isinstance(stream_format, StandingAlone):
        data, entry = _one_picture_mov(first_picture, stream_format), stream_format.fourcc.encode()
        boxes += _box(b"fiel", b"\x01\x00")  # progressive (QuickTime File Format, "Field handling")
    else:
        data, entry = _one_picture_mp4(first_picture, stream_format), _SAMPLE_ENTRIES[stream_format]
    way = ((b"stsd", _STSD_OWN_BYTES), (entry, _SAMPLE_ENTRY_OWN_BYTES))
    data = _put_in(data, _STBL + way, boxes)
    if display_matrix:
        at = data.index(b"tkhd") + 4 + _TKHD_MATRIX_AT
        data = data[:at] + struct.pack(">9i", *display_matrix) + data[at + 36 :]
    return av.open(io.BytesIO(data), "r")


def _one_picture_mov(picture: bytes, form: StandingAlone) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mov") as target:
        stream: Any = target.add_stream(form.encoder, rate=24)
        stream.width, stream.height = form.size
        stream.pix_fmt, stream.options = form.pixel_format, {"profile": form.profile}
        context = stream.codec_context
        context.sample_aspect_ratio = form.sample_aspect
        context.color_primaries, context.color_trc = Primaries.BT2020, form.transfer
        context.colorspace, context.color_range = Matrix.BT2020_NCL, _FFMPEG_LIMITED_RANGE
        packet = av.Packet(picture)
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, 0, 0, True
        target.mux(packet)
    return buffer.getvalue()


def _one_picture_mp4(picture: bytes, stream_format: str) -> bytes:
    buffer = io.BytesIO()
    with (
        av.open(io.BytesIO(picture), "r", format=stream_format) as source,
        av.open(buffer, "w", format="mp4") as target,
    ):
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream, opaque=True)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream, packet.pts, packet.dts = copy, 0, 0
                target.mux(packet)
    return buffer.getvalue()


def _put_in(data: bytes, path: tuple[tuple[bytes, int], ...], extra: bytes) -> bytes:
    """Put boxes before those in the box at the end of ``path``; sizes on the way grow (mdat lies before moov).

    Before, as zeros may end the others: QuickTime's sample entries have such an end, and nothing behind it is read.
    """
    (name, own_bytes), *rest = path
    out, at = b"", 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + size]
        if kind == name:
            inner = body[own_bytes:]
            body = body[:own_bytes] + (_put_in(inner, tuple(rest), extra) if rest else extra + inner)
        out += _box(kind, body)
        at += size
    return out


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body

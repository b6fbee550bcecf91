"""A stream template for the final mux: carries everything a container header has to say about the video.

FFmpeg's muxers take mastering display, content light and rotation from a stream's parameters, which no
Python binding lets one set. So a tiny MP4 of one picture is made, given the boxes in which MP4 says these
things (ISO/IEC 14496-12, 12.1.5-12.1.7 and 8.3.2), and opened: its stream is the template.
"""

from __future__ import annotations

import io
import struct

import av

from vsdslnet.hdr10 import ContentLight, MasteringDisplay

__all__ = ["open_template"]

# Boxes on the way to the sample entry, each with the bytes of its own before its children.
_STBL = ((b"moov", 0), (b"trak", 0), (b"mdia", 0), (b"minf", 0), (b"stbl", 0))
_SAMPLE_ENTRY = ((b"stsd", 8), (b"hev1", 78))
_SAMPLE_ENTRY_AV1 = ((b"stsd", 8), (b"av01", 78))
# Offset of the matrix in tkhd's body, version 0.
_TKHD_MATRIX_AT = 40


def open_template(
    first_picture: bytes,
    *,
    stream_format: str,
    mastering: MasteringDisplay,
    light: ContentLight | None,
    display_matrix: tuple[int, ...],
) -> av.container.InputContainer:
    """A container whose only stream says what is in ``first_picture`` and what the arguments say.

    ``first_picture`` is an elementary stream ("hevc" or "obu") of one picture with its headers.
    Without ``light`` it says nothing of the mastering display either. ``display_matrix`` is empty or has nine numbers.
    """
    data = _one_picture_mp4(first_picture, stream_format)
    boxes = b""
    if light is not None:
        boxes = _box(b"mdcv", mastering.mp4_payload()) + _box(b"clli", light.payload())
    entry = _SAMPLE_ENTRY if stream_format == "hevc" else _SAMPLE_ENTRY_AV1
    data = _append(data, _STBL + entry, boxes)
    if display_matrix:
        at = data.index(b"tkhd") + 4 + _TKHD_MATRIX_AT
        data = data[:at] + struct.pack(">9i", *display_matrix) + data[at + 36 :]
    return av.open(io.BytesIO(data), "r")


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


def _append(data: bytes, path: tuple[tuple[bytes, int], ...], extra: bytes) -> bytes:
    """Append boxes to the box at the end of ``path``; sizes on the way grow (mdat lies before moov)."""
    (name, own_bytes), *rest = path
    out, at = b"", 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + size]
        if kind == name:
            inner = body[own_bytes:]
            body = body[:own_bytes] + (_append(inner, tuple(rest), extra) if rest else inner + extra)
        out += _box(kind, body)
        at += size
    return out


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body

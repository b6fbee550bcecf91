"""A file whose picture is in tiles, as those of phones are (HEIC), and as large ones have to be (AVIF)."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av

SIDE = 64


def write_tiled_picture(path: Path, *, thumbnail: bool) -> Path:
    """Four tiles, put together by a "grid" item (ISO/IEC 23008-12, 6.6.2.3), and perhaps a thumbnail beside them.

    AVIF, or HEIC by the path's suffix.
    """
    is_avif = path.suffix == ".avif"
    brand, coding = (b"avif", b"av01") if is_avif else (b"heic", b"hvc1")
    data, description = _coded_tile("libsvtav1" if is_avif else "libx265")
    pictures = 5 if thumbnail else 4
    payloads = [struct.pack(">BBBBHH", 0, 0, 1, 1, 2 * SIDE, 2 * SIDE), *[data] * pictures]
    items = range(1, 2 + pictures)
    tiles = items[1:5]
    information = [
        _full(b"infe", 2, int(item in tiles), struct.pack(">HH4s", item, 0, b"grid" if item == 1 else coding), b"\0")
        for item in items
    ]
    references = [_box(b"dimg", struct.pack(">HH4H", 1, 4, *tiles))]
    references += [_box(b"thmb", struct.pack(">HHH", items[-1], 1, 1))] if thumbnail else []
    properties = [
        _full(b"ispe", 0, 0, struct.pack(">II", 2 * SIDE, 2 * SIDE)),
        _full(b"ispe", 0, 0, struct.pack(">II", SIDE, SIDE)),
        _full(b"pixi", 0, 0, bytes([3, 8, 8, 8])),
        _box(b"av1C" if is_avif else b"hvcC", description),
    ]
    numbers = [bytes([1, 3]), *[bytes([2, 3, 0x80 | 4])] * pictures]  # the last one has to be understood
    belong = [struct.pack(">HB", item, len(own)) + own for item, own in zip(items, numbers, strict=True)]
    head = _box(b"ftyp", brand, bytes(4), brand, b"mif1", b"miaf")

    def meta(at: int) -> bytes:
        places = []
        for item, payload in zip(items, payloads, strict=True):
            places.append(struct.pack(">HHHII", item, 0, 1, at, len(payload)))
            at += len(payload)
        count = struct.pack(">H", len(payloads))
        return _full(
            b"meta",
            0,
            0,
            _full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, b"pict"), b"\0"),
            _full(b"pitm", 0, 0, struct.pack(">H", 1)),
            _full(b"iloc", 0, 0, bytes([0x44, 0]), count, *places),
            _full(b"iinf", 0, 0, count, *information),
            _full(b"iref", 0, 0, *references),
            _box(
                b"iprp",
                _box(b"ipco", *properties),
                _full(b"ipma", 0, 0, struct.pack(">I", len(belong)), *belong),
            ),
        )

    path.write_bytes(head + meta(len(head) + len(meta(0)) + 8) + _box(b"mdat", *payloads))
    return path


def _coded_tile(encoder: str) -> tuple[bytes, bytes]:
    """A grey tile, and the body of the box that describes it."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        video = output.add_stream(encoder, rate=Fraction(1))
        video.width, video.height, video.pix_fmt = SIDE, SIDE, "yuv420p"
        image = av.VideoFrame(SIDE, SIDE, "yuv420p")
        for plane in image.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        image.pts, image.time_base = 0, Fraction(1)
        for packet in [*video.encode(image), *video.encode(None)]:
            packet.dts = packet.pts  # x265's is anything in so short a stream (findings/)
            output.mux(packet)
    file.seek(0)
    with av.open(file) as coded:
        description = coded.streams.video[0].codec_context.extradata
        assert description is not None
        return bytes(next(coded.demux())), description


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)

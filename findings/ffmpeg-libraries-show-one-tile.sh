#!/usr/bin/env bash
# A photograph of a phone (HEIC) and larger AVIF files are pictures in tiles: a "grid" item (ISO/IEC 23008-12, 6.6.2.3) says how they
# lie. Through FFmpeg's libraries each tile is a video stream of its own, and there is none of the whole: PyAV's decode(video=0)
# and BestSource's VideoSource() give the top left tile as if it were the picture, without an error or a warning. Pillow shows the whole. The
# only sign is that all the streams have the disposition "dependent".
#
# Seen with PyAV 19.0.2 and BestSource 22 (VapourSynth 81), against Pillow 13.0.0. Needs python3.12 and pip; fails when the behaviour
# changes. The file is made here of four pictures that Pillow codes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet VapourSynth==81 vapoursynth-bestsource==22 av==19.0.2 pillow==13.0.0 numpy==2.5.5
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import io
import struct

import av
import numpy as np
import vapoursynth as vs
from PIL import Image

SIDE = 64


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind, version, flags, *parts):
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def find(data, kind, *further):
    """The body of the first box along a path of kinds."""
    at = 0
    while True:
        size, here = struct.unpack_from(">I4s", data, at)
        if here == kind:
            body = data[at + 8 : at + size]
            return find(body[4:] if kind == b"meta" else body, *further) if further else body
        at += size


def coded(colour):
    """AV1 of an even picture, and what describes it."""
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), colour).save(file, "AVIF")
    data = file.getvalue()
    return find(data, b"mdat"), find(data, b"meta", b"iprp", b"ipco", b"av1C")


tiles = [coded(colour) for colour in ("red", "lime", "blue", "white")]
payloads = [struct.pack(">BBBBHH", 0, 0, 1, 1, 2 * SIDE, 2 * SIDE), *(data for data, _ in tiles)]
items = range(1, 6)
kinds = [b"grid", *[b"av01"] * 4]
items_info = [full_box(b"infe", 2, int(item > 1), struct.pack(">HH4s", item, 0, kind), b"\0") for item, kind in zip(items, kinds)]
properties = box(
    b"ipco",
    full_box(b"ispe", 0, 0, struct.pack(">II", 2 * SIDE, 2 * SIDE)),
    full_box(b"ispe", 0, 0, struct.pack(">II", SIDE, SIDE)),
    full_box(b"pixi", 0, 0, bytes([3, 8, 8, 8])),
    box(b"av1C", tiles[0][1]),
)
belong = [struct.pack(">HB", 1, 2) + bytes([1, 3]), *(struct.pack(">HB", item, 3) + bytes([2, 3, 0x80 | 4]) for item in items[1:])]
head = box(b"ftyp", b"avif", bytes(4), b"avif", b"mif1", b"miaf")


def meta(at):
    places = []
    for item, payload in zip(items, payloads):
        places.append(struct.pack(">HHHII", item, 0, 1, at, len(payload)))
        at += len(payload)
    return full_box(
        b"meta", 0, 0,
        full_box(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, b"pict"), b"\0"),
        full_box(b"pitm", 0, 0, struct.pack(">H", 1)),
        full_box(b"iloc", 0, 0, bytes([0x44, 0]), struct.pack(">H", 5), *places),
        full_box(b"iinf", 0, 0, struct.pack(">H", 5), *items_info),
        full_box(b"iref", 0, 0, box(b"dimg", struct.pack(">HH4H", 1, 4, *items[1:]))),
        box(b"iprp", properties, full_box(b"ipma", 0, 0, struct.pack(">I", 5), *belong)),
    )


with open("tiles.avif", "wb") as file:
    file.write(head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", *payloads))

whole = Image.open("tiles.avif")
corners = [whole.convert("RGB").getpixel(place) for place in ((32, 32), (96, 32), (32, 96), (96, 96))]
print("Pillow:", whole.size, corners)
container = av.open("tiles.avif")
streams = [(s.width, s.height, av.stream.Disposition(s.disposition).name) for s in container.streams.video]
frame = next(container.decode(video=0))
print("PyAV:", streams, "and of the first", (frame.width, frame.height))
clip = vs.core.bs.VideoSource("tiles.avif", showprogress=0)
print("BestSource:", (clip.width, clip.height), len(clip))
assert whole.size == (128, 128)
assert np.abs(np.subtract(corners, [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)])).max() < 8
assert streams == [(64, 64, "dependent")] * 4
assert (frame.width, frame.height) == (clip.width, clip.height) == (64, 64)
PYTHON

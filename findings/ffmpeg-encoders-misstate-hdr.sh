#!/usr/bin/env bash
# Three of FFmpeg's encoders say something else of HDR than they were told, and FFmpeg's own containers hide two of them:
# - prores_ks heeds the colours of each frame and not those of the encoder's context: told BT.2020 PQ in the context
#   alone, its picture headers say 2/2/2 (unknown), while the container says 9/16/9;
# - dnxhd writes BT.709 into the header of every DNxHR picture, told BT.2020 in context and frame, and FFmpeg's decoder
#   then says matrix BT.709 of a frame whose file says BT.2020;
# - png scrambles the chromaticities of mDCV.
#
# Seen with PyAV 19.0.2 (libavcodec 63.1). Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==19.0.2 numpy==2.5.5
"$work/venv/bin/python" - <<'PYTHON'
import struct
from fractions import Fraction

import av

BT2020, PQ, BT2020_NCL, LIMITED = 9, 16, 9, 1


def encoded(name, pixels, options, frame=None, size=(256, 128), tag_frame=False):
    context = av.VideoCodecContext.create(name, "w")
    (context.width, context.height), context.pix_fmt = size, pixels
    context.framerate, context.time_base = Fraction(24), Fraction(1, 24)
    if frame is None:
        frame = av.VideoFrame(*size, pixels)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        context.color_primaries, context.color_trc, context.colorspace = BT2020, PQ, BT2020_NCL
        context.color_range = LIMITED
        if tag_frame:
            frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = BT2020, PQ, BT2020_NCL, LIMITED
    context.options = options
    context.open()
    frame.pts = 0
    return b"".join(bytes(packet) for packet in (*context.encode(frame), *context.encode(None)))


by_context = tuple(encoded("prores_ks", "yuv422p10le", {"profile": "hq"})[22:25])
by_frame = tuple(encoded("prores_ks", "yuv422p10le", {"profile": "hq"}, tag_frame=True)[22:25])
print("prores_ks: colours in the context", by_context, "and in the frame", by_frame)

dnxhr = encoded("dnxhd", "yuv422p10le", {"profile": "dnxhr_hqx"}, tag_frame=True)
volume = dnxhr[0x2C] >> 1 & 3
print("dnxhd: colour volume", volume, "(0 is BT.709, 1 is BT.2020 with non-constant luminance)")

display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
hevc = encoded("libx265", "yuv420p10le", {"x265-params": f"master-display={display}:hdr10=1:log-level=none"})
decoder = av.VideoCodecContext.create("hevc", "r")
(frame, *_) = [frame for packet in (av.Packet(hevc), None) for frame in decoder.decode(packet)]
assert "MASTERING_DISPLAY_METADATA" in [data.type.name if hasattr(data, "type") else data.name for data in frame.side_data]
png = encoded("png", "rgb48be", {}, frame=frame.reformat(format="rgb48be"))
found = struct.unpack_from(">8H", png, png.index(b"mDCV") + 4)
told = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450)
print("png: mDCV", found, "instead of", told)

assert by_context == (2, 2, 2) and by_frame == (BT2020, PQ, BT2020_NCL), "prores_ks changed"
assert volume == 0, "dnxhd changed"
assert found != told, "png changed"
PYTHON

#!/usr/bin/env bash
# libx265 takes the decoding timestamps of a stream that ends before its delay for B-frames is known (two frames, with
# pyramids of them, which are its default) from memory that it never wrote: each is the presentation timestamp less
# whatever lay there, the same for the whole stream. Fresh memory is often zero, which makes them look right; glibc can be
# told to fill it with something else. From three frames on, and without B-frames (bframes=0), they are right. So a muxer
# given one or two pictures may refuse them, or write times that mean nothing: set them oneself.
#
# Seen with libx265 in PyAV 19.0.2 (libavcodec 63.1). Needs python3.12, pip and glibc; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==19.0.2
cat > "$work/times.py" <<'PYTHON'
import json
from fractions import Fraction

import av


def times(frames, bframes):
    context = av.VideoCodecContext.create("libx265", "w")
    context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
    context.framerate, context.time_base = Fraction(24), Fraction(1, 24)
    context.options = {"x265-params": f"log-level=none:bframes={bframes}"}
    context.open()
    packets = []
    for number in range(frames):
        frame = av.VideoFrame(64, 64, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.pts = number
        packets += context.encode(frame)
    return [(packet.pts, packet.dts) for packet in (*packets, *context.encode(None))]


streams = [(frames, bframes) for frames in (1, 2, 3, 4) for bframes in (4, 0)]
print(json.dumps({f"{frames} frames, bframes={bframes}": times(frames, bframes) for frames, bframes in streams}))
PYTHON
MALLOC_PERTURB_=85 "$work/venv/bin/python" "$work/times.py" > "$work/85.json"
MALLOC_PERTURB_=170 "$work/venv/bin/python" "$work/times.py" > "$work/170.json"
"$work/venv/bin/python" - "$work/85.json" "$work/170.json" <<'PYTHON'
import json
import sys
from pathlib import Path

one, other = (json.loads(Path(path).read_text()) for path in sys.argv[1:])
for stream in one:
    print(f"{stream}: (pts, dts) {one[stream]}", "" if one[stream] == other[stream] else f"or {other[stream]}")
changing = {stream for stream in one if one[stream] != other[stream]}
assert changing == {"1 frames, bframes=4", "2 frames, bframes=4"}, f"libx265 changed: {sorted(changing)}"
for stream in changing:
    for found in (one[stream], other[stream]):
        assert len({pts - dts for pts, dts in found}) == 1, "libx265 changed: another delay for each frame"
for stream in one.keys() - changing:
    decoding = [dts for _, dts in one[stream]]
    assert decoding == list(range(decoding[0], decoding[0] + len(decoding))), f"libx265 changed: {stream}"
    assert all(dts <= pts for pts, dts in one[stream]), f"libx265 changed: {stream}"
PYTHON

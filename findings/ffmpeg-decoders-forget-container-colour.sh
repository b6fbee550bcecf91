#!/usr/bin/env bash
# A file whose colour tags stand in the container only (Matroska's Colour element, MP4's colr box), as mkvmerge and editors
# write them, is PQ BT.2020 when it is opened, and untagged from the first decoded frame on, if it is HEVC or ProRes: those
# decoders put the bitstream's "unspecified" over the container's tags, on the frames and in the codec context. The
# decoders of H.264, VP9 (but for the matrix), AV1 and FFV1 keep them. So "is this HDR?" asked of a frame, and everything
# that only sees frames (BestSource's _Transfer among it), answers no.
#
# Seen with FFmpeg 9.0.2 in PyAV 19.0.2 and in BestSource R22. Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==19.0.2 numpy==2.5.5 vapoursynth==81 vapoursynth-bestsource==22
cd "$work"
export SVT_LOG=1  # errors only
"$work/venv/bin/python" - <<'PYTHON'
from fractions import Fraction

import av
import numpy as np
import vapoursynth as vs

PQ = (9, 16, 9)  # matrix, transfer, primaries


def colour(told):
    return int(told.colorspace), int(told.color_trc), int(told.color_primaries)


def after_a_frame(codec, pixel_format, suffix):
    """Encode without any tag, copy the packets into a container that says PQ BT.2020, and ask before and after."""
    with av.open(f"plain{suffix}", "w") as output:
        stream = output.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixel_format
        # Without B frames: two frames with them have decoding times that libx265 never set, and MP4 refuses some.
        stream.options = {"x265-params": "log-level=none:bframes=0"} if codec == "libx265" else {}
        for number in range(2):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 100, np.uint8), format="rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 24)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with av.open(f"plain{suffix}") as source, av.open(f"tagged{suffix}", "w") as output:
        copy = output.add_stream_from_template(source.streams.video[0], opaque=True)
        context = copy.codec_context
        context.colorspace, context.color_trc, context.color_primaries = PQ
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    with av.open(f"tagged{suffix}") as container:
        stream = container.streams.video[0]
        before = colour(stream.codec_context)
        frame = next(container.decode(stream))
        assert colour(stream.codec_context) == colour(frame)
        after = colour(frame)
    clip = vs.core.bs.VideoSource(f"tagged{suffix}", cachemode=0, showprogress=0)
    with clip.get_frame(0) as frame:
        transfer = int(frame.props["_Transfer"])
    print(f"{codec} in {suffix}: {before} before the first frame, {after} after; BestSource: _Transfer={transfer}")
    assert before == PQ
    return after, transfer


for codec, pixel_format, suffix in (
    ("libx265", "yuv420p10le", ".mkv"),
    ("libx265", "yuv420p10le", ".mp4"),
    ("prores_ks", "yuv422p10le", ".mov"),
):
    assert after_a_frame(codec, pixel_format, suffix) == ((2, 2, 2), 2)
for codec, pixel_format, suffix in (
    ("libx264", "yuv420p", ".mkv"),
    ("libsvtav1", "yuv420p10le", ".mp4"),
    ("ffv1", "yuv420p10le", ".mkv"),
):
    assert after_a_frame(codec, pixel_format, suffix) == (PQ, 16)
assert after_a_frame("libvpx-vp9", "yuv420p", ".webm") == ((2, 16, 9), 16)
PYTHON

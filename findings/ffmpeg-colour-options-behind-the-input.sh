#!/usr/bin/env bash
# ffmpeg -i untagged.y4m ... -colorspace bt2020nc -color_primaries bt2020 -color_trc smpte2084 out.mkv, which for years tagged
# the output, in FFmpeg 9 converts the samples to that matrix from the one it supposes, and drops primaries and transfer.
# FFmpeg 7.0 still leaves the samples and writes all three. Before -i both do what is meant.
#
# Seen with FFmpeg 9.0.2 (imageio-ffmpeg 0.8.1) and 7.0.2 (0.6.0). Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==19.0.2 numpy==2.5.5
"$work/venv/bin/pip" install --quiet --no-deps --target "$work/9" imageio-ffmpeg==0.8.1
"$work/venv/bin/pip" install --quiet --no-deps --target "$work/7" imageio-ffmpeg==0.6.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import subprocess
from pathlib import Path

import av
import numpy as np

planes = [np.full((64, 64), 500, "<u2"), np.full((32, 32), 300, "<u2"), np.full((32, 32), 687, "<u2")]
header = b"YUV4MPEG2 W64 H64 F24:1 Ip A1:1 C420p10 XYSCSS=420P10\n"
Path("in.y4m").write_bytes(header + 2 * (b"FRAME\n" + b"".join(plane.tobytes() for plane in planes)))
TAGS = ["-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-color_range", "tv"]


def outcome(version, before, behind):
    [ffmpeg] = Path(version, "imageio_ffmpeg", "binaries").glob("ffmpeg-*")
    codec = ["-c:v", "ffv1", "-pix_fmt", "yuv420p10le"]
    line = [ffmpeg, "-v", "error", "-y", *before, "-i", "in.y4m", *behind, *codec, "out.mkv"]
    subprocess.run(line, check=True)
    with av.open("out.mkv") as container:
        frame = next(container.decode(video=0))
    samples = tuple(int(np.frombuffer(bytes(plane), "<u2")[0]) for plane in frame.planes)
    tags = int(frame.colorspace), int(frame.color_trc), int(frame.color_primaries)
    print(f"FFmpeg {version}, tags {'before' if before else 'behind'} -i: samples {samples}, tags {tags}")
    return samples, tags


kept, tagged = (500, 300, 687), (9, 16, 9)
assert outcome("7", [], TAGS) == (kept, tagged)
assert outcome("7", TAGS, []) == (kept, tagged)
assert outcome("9", TAGS, []) == (kept, tagged)
samples, tags = outcome("9", [], TAGS)
assert samples != kept and tags == (9, 2, 2)
PYTHON

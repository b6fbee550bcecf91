#!/usr/bin/env bash
# FFmpeg's scale filter (swscale) makes limited-range YUV out of 16-bit planar RGB too bright, by up to 4 codes of 10 bits: it
# takes 65535 for 256/255 of white, so that white is 943 (10 bits) and 60379 (16 bits) where BT.2020 says 940 and 60160, in
# every depth, with accurate_rnd as without. zscale (zimg) is within half a code. So frames that are RGB48 in VapourSynth
# are better turned into YUV there than by "-pix_fmt yuv444p10le".
#
# Seen with FFmpeg 9.0.2 (imageio-ffmpeg 0.8.1) and 7.0.2 (0.6.0). Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numpy==2.5.5
"$work/venv/bin/pip" install --quiet --no-deps --target "$work/9" imageio-ffmpeg==0.8.1
"$work/venv/bin/pip" install --quiet --no-deps --target "$work/7" imageio-ffmpeg==0.6.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import subprocess
from pathlib import Path

import numpy as np

SIDE = 128
grey = np.linspace(0, 65_535, SIDE * SIDE).round().astype("<u2")
np.stack([grey, grey, grey]).tofile("in.gbr")  # greys: any matrix gives the same luma
FILTERS = {
    "scale": "scale=out_color_matrix=bt2020:out_range=limited",
    "scale, accurate": "scale=out_color_matrix=bt2020:out_range=limited:flags=accurate_rnd+full_chroma_int+full_chroma_inp",
    "zscale": "zscale=matrix=2020_ncl:range=limited",
}


def most_and_white(version, filters, bits):
    [ffmpeg] = Path(version, "imageio_ffmpeg", "binaries").glob("ffmpeg-*")
    source = ["-f", "rawvideo", "-pix_fmt", "gbrp16le", "-s", f"{SIDE}x{SIDE}", "-i", "in.gbr"]
    target = ["-vf", filters, "-pix_fmt", f"yuv444p{bits}le", "-f", "rawvideo", "out.yuv"]
    subprocess.run([ffmpeg, "-v", "error", "-y", *source, *target], check=True)
    luma = np.fromfile("out.yuv", "<u2")[: SIDE * SIDE].astype(float)
    exact = (16 + 219 * grey.astype(float) / 65_535) * 2 ** (bits - 8)
    return np.abs(luma - exact).max() / 2 ** (bits - 10), luma[-1]


for version in ("7", "9"):
    for name, filters in FILTERS.items():
        for bits in (10, 16):
            most, white = most_and_white(version, filters, bits)
            print(f"FFmpeg {version}, {name}, {bits} bits: white is {white:.0f}, at most {most:.2f} codes of 10 bits off")
            if name == "zscale":
                assert most <= 0.51
            else:
                assert 3.4 < most < 4
PYTHON

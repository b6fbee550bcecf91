#!/usr/bin/env bash
# An MPEG program stream (DVD's .vob, .mpg) gives a time to the first frame that begins in a packet; a packet holds several small
# frames. FFmpeg works the others out, so that each decoded frame has its time, 1/25 s apart. core.bs.VideoSource, which decodes
# by FFmpeg, gives frames without (exporttimestamps=1: -2**63; no _DurationNum), and takes the clip's rate from those that have one:
# 75/19 for a film of 25 frames a second. What is encoded of such a clip at its own rate plays too slowly, without a warning.
#
# Seen with BestSource 22 (VapourSynth 81) beside PyAV 19.0.2. Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet VapourSynth==81 vapoursynth-bestsource==22 av==19.0.2 imageio-ffmpeg==0.8.1
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import vapoursynth as vs

ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
test = ["-f", "lavfi", "-i", "color=gray:s=176x144:r=25:d=2"]
subprocess.run([*ffmpeg, *test, "-c:v", "mpeg2video", "-g", "6", "-bf", "0", "-b:v", "100k", "film.mpg"], check=True)

with av.open("film.mpg") as container:
    times = [frame.pts for frame in container.decode(video=0)]
assert None not in times
steps = {after - before for before, after in zip(times, times[1:])}
print(f"FFmpeg: {len(times)} frames, {steps} ticks of 1/90000 s apart")
assert steps == {3600}

read = vs.core.bs.VideoSource("film.mpg", exporttimestamps=1, cachemode=0)
clip, told = read["clip"], list(read["timestamps"])
missing = told.count(-(2**63))
print(f"BestSource: {len(clip)} frames, {missing} without a time, {clip.fps} a second")
assert len(clip) == len(times)
assert missing > len(clip) // 3
assert clip.fps < Fraction(20)
PYTHON

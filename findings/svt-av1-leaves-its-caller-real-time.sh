#!/usr/bin/env bash
# SVT-AV1 asks for real-time scheduling as it opens, and not only for threads of its own: where the system grants it (as
# root, so in most containers) the thread that opened the encoder is SCHED_FIFO at priority 99 from then on, also when the
# encoder is closed, and so is every thread and process that it starts later. Whatever shares its core stands still while
# it computes: a second encoder, a sound track's, a progress display. Take the policy before opening and put it back
# afterwards, or run without CAP_SYS_NICE.
#
# Seen with SVT-AV1 in PyAV 19.0.2 (libavcodec 63.1) on Linux x86_64. Needs python3.12, pip and root; fails when the
# behaviour changes.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "only root is granted real-time scheduling: nothing to see" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==19.0.2
SVT_LOG=1 "$work/venv/bin/python" - <<'PYTHON'
import os
import subprocess
import sys
from fractions import Fraction

import av

NAMES = {os.SCHED_OTHER: "SCHED_OTHER", os.SCHED_FIFO: "SCHED_FIFO"}
ASK = "import os; print(os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)"


def here():
    return NAMES.get(os.sched_getscheduler(0)), os.sched_getparam(0).sched_priority


def encode(codec):
    context = av.VideoCodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
    context.framerate, context.time_base = Fraction(24), Fraction(1, 24)
    frame = av.VideoFrame(64, 64, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.pts = 0
    return len([*context.encode(frame), *context.encode(None)])


seen = {"at first": here()}
for codec in ("libx265", "libsvtav1"):
    assert encode(codec) == 1
    seen[f"after {codec}"] = here()
child = subprocess.run([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
seen["a child after libsvtav1"] = (NAMES.get(int(child[0])), int(child[1]))
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
for what, policy in seen.items():
    print(f"{what}: {policy[0]}, priority {policy[1]}")
usual, real_time = ("SCHED_OTHER", 0), ("SCHED_FIFO", 99)
assert seen["at first"] == seen["after libx265"] == usual, "start this in an ordinary shell"
assert seen["after libsvtav1"] == seen["a child after libsvtav1"] == real_time, "SVT-AV1 changed"
PYTHON

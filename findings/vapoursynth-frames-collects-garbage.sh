#!/usr/bin/env bash
# VideoNode.frames(), the usual loop over a clip in Python, runs a full collection of garbage once it has given its last frame, with the
# GIL held and however short the clip. The collection looks through every object of the process: a script with PyTorch loaded waits 0.1 s
# a loop, a test-suite with all its modules 0.3 s, hundreds of times. gc.freeze() after the imports cures it; get_frame() collects nothing.
#
# Seen with VapourSynth 81 on Python 3.12. Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet VapourSynth==81
"$work/venv/bin/python" - <<'PYTHON'
import gc
import time

import vapoursynth as vs

clip = vs.core.std.BlankClip(width=16, height=16, length=2)
objects = [[number] for number in range(1_000_000)]
full = []
gc.callbacks.append(lambda phase, info: phase == "stop" and info["generation"] == 2 and full.append(info))
gc.disable()  # whatever is collected now was asked for


def loop() -> float:
    full.clear()
    began = time.process_time()
    for frame in clip.frames(close=True):
        pass
    return time.process_time() - began


for number in range(2):
    clip.get_frame(number).close()
assert not full
slow, collections = loop(), len(full)
gc.freeze()
quick = loop()
print(f"frames(): {collections} full collection, {slow * 1000:.0f} ms for two frames; after gc.freeze() {quick * 1000:.1f} ms")
assert collections == 1
assert slow > 10 * quick
PYTHON

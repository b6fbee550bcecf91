#!/usr/bin/env bash
# libavformat writes the chapters of MP4 and MOV as the lines of a text track, and writes no line for a chapter without a
# title: its time is lost, and read back the next one stands there twice. A first chapter that does not begin at 0 is
# pulled there. So a film whose chapters bear numbers alone, as most Matroska files made from DVDs do, loses their times on
# the way into MP4 without a word. An empty title counts as one: give each chapter `title=`, and put one at 0.
#
# Seen with libavformat 63.1 in PyAV 19.0.2. Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==19.0.2
"$work/venv/bin/python" - "$work" <<'PYTHON'
import sys
from fractions import Fraction
from pathlib import Path

import av

SECOND = Fraction(1, 1000)


def through(chapters, suffix):
    """What (start in seconds, title or None) come to in a file of ten seconds."""
    path = Path(sys.argv[1]) / f"film{suffix}"
    ends = [start for start, _ in chapters[1:]] + [10]
    given = [
        {"id": number, "start": start * 1000, "end": end * 1000, "time_base": SECOND,
         "metadata": {} if title is None else {"title": title}}
        for number, ((start, title), end) in enumerate(zip(chapters, ends), 1)
    ]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=1)
        stream.width = stream.height = 64
        out.set_chapters(given)
        for number in range(10):
            frame = av.VideoFrame(64, 64, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([16 * number % 256]) * plane.buffer_size)
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(path)) as back:
        return [(float(c["start"] * c["time_base"]), c["metadata"].get("title")) for c in back.chapters()]


untitled = [(0, "one"), (3, None), (6, "three")]
late = [(2, "one"), (6, "two")]
seen = {(name, suffix): through(chapters, suffix)
        for name, chapters in (("untitled", untitled), ("late", late)) for suffix in (".mkv", ".mp4", ".mov")}
for (name, suffix), found in seen.items():
    print(f"{name}, {suffix}: {found}")
assert seen["untitled", ".mkv"] == [(0, "one"), (3, None), (6, "three")]
assert seen["late", ".mkv"] == [(2, "one"), (6, "two")]
for suffix in (".mp4", ".mov"):
    assert seen["untitled", suffix] == [(0, "one"), (6, "three"), (6, "three")], "libavformat changed"
    assert seen["late", suffix] == [(0, "one"), (6, "two")], "libavformat changed"
PYTHON

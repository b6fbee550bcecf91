#!/usr/bin/env bash
# VapourSynth R81 calls the property of a frame's range _Range (0 limited, 1 full) and turns its old name, _ColorRange (0
# full, 1 limited), into it. A script that has to serve old and new versions sets both in one call of SetFrameProps, and
# there the second does not replace the first but is appended: _Range then has two values. Plugins that ask for one number
# get the first; in Python it is a list, equal to neither Range.RANGE_FULL nor 1, so a script that compares it decides
# wrongly without an error. In two calls the second replaces the first. Take the first value, as resize does.
#
# Seen with VapourSynth R81 on Linux x86_64. Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet vapoursynth==81
"$work/venv/bin/python" -W ignore::DeprecationWarning - <<'PYTHON'
import vapoursynth as vs

clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=16, height=16, length=1)


def range_of(tagged):
    found = tagged.get_frame(0).props["_Range"]
    return [int(value) for value in found] if isinstance(found, list) else int(found)


both = clip.std.SetFrameProps(_Range=1, _ColorRange=0)
seen = {
    "_Range=1": range_of(clip.std.SetFrameProps(_Range=1)),
    "_ColorRange=0": range_of(clip.std.SetFrameProps(_ColorRange=0)),
    "both in one call": range_of(both),
    "both in two calls": range_of(clip.std.SetFrameProps(_Range=1).std.SetFrameProps(_ColorRange=0)),
    "both in one call, after resize": range_of(both.resize.Point(format=vs.YUV444P16)),
}
for what, value in seen.items():
    print(f"full range by {what}: _Range is {value}")
is_full = both.get_frame(0).props["_Range"] == vs.RANGE_FULL
print(f"and equals RANGE_FULL: {is_full}")
assert list(seen.values()) == [1, 1, [1, 1], 1, 1] and not is_full, "VapourSynth changed"
PYTHON

#!/usr/bin/env bash
# core.resize converts transfer curves approximately unless it is told approximate_gamma=0, and what comes out depends on
# the processor. 65,536 greys of BT.1886 become 11,301 values of PQ with AVX2 (a table in half precision), 35,216 with
# AVX-512 (polynomials), 35,227 by the formula, which processors without AVX2 get as well. Both approximations are 18 to
# 20 codes of 16 bits off near black, and they apply where only the primaries are converted, too.
#
# Seen with VapourSynth R81 on x86-64 (AMD EPYC, Zen 5). Needs python3.12 and pip; fails when the behaviour changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.12 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet vapoursynth==81 numpy==2.5.5
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
import vapoursynth as vs

codes = np.arange(65_536).reshape(256, 256)
y = ((codes / 65_535) ** 2.4 * 203 / 10_000) ** 0.1593017578125
formula = 65_535 * ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def ramp(n, f):
    out = f.copy()
    for plane in range(3):
        np.asarray(out[plane])[:] = codes
    return out


blank = vs.core.std.BlankClip(format=vs.RGB48, width=256, height=256, length=1)
greys = blank.std.ModifyFrame(blank, ramp).std.SetFrameProps(_Transfer=1, _Primaries=1)
found = {}
for name, options in {
    "as it is on this processor": {},
    "cpu_type='avx2'": {"cpu_type": "avx2"},
    "cpu_type='none'": {"cpu_type": "none"},
    "approximate_gamma=0": {"approximate_gamma": 0},
}.items():
    with greys.resize.Point(transfer=16, nominal_luminance=203, **options).get_frame(0) as frame:
        red = np.asarray(frame[0]).astype(float)
    found[name] = len(np.unique(red)), np.abs(red - formula).max()
    print(f"{name}: {found[name][0]} values, at most {found[name][1]:.2f} codes of 16 bits from the formula")
assert found["cpu_type='avx2'"][0] == 11_301 and 19 < found["cpu_type='avx2'"][1] < 21
assert found["as it is on this processor"][1] > 17  # unless it has no AVX2
assert found["cpu_type='none'"] == found["approximate_gamma=0"]
assert found["approximate_gamma=0"][0] == 35_227 and found["approximate_gamma=0"][1] < 0.6
PYTHON

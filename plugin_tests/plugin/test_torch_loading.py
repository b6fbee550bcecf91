"""Which thread imports torch: bindings remember the Python state of that thread, so it has to be one that lasts."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys, threading
import vapoursynth as vs

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            known = type(threading.current_thread()).__name__
            print("imported on", known, flush=True)

sys.meta_path.insert(0, Watch())
clip = vs.core.std.BlankClip(width=32, height=32, format=vs.YUV420P8, length=3)
hdr = vs.core.dslnet.Convert(clip, model=sys.argv[1])
assert "torch" not in sys.modules, "opening a script stays fast"
for frame in hdr.frames():
    pass
print("rendered")
"""


@pytest.mark.parametrize("model", ["dslnet-fast", "dslnet-fast-lut"])
def test_the_first_frame_imports_torch_on_a_thread_of_pythons_own(model: str) -> None:
    command = [sys.executable, "-c", SCRIPT, model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    assert "rendered" in lines, done.stderr
    # VapourSynth's threads are dummies to Python.
    assert "imported on Thread" in lines

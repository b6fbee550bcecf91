"""The short version of kill_encode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin_tests.crash.kill_encode import run


@pytest.fixture
def plugin_in_children(shim: Path | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = str(Path(__file__).resolve().parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])))
    if shim is not None:
        monkeypatch.setenv("VAPOURSYNTH_EXTRA_PLUGIN_PATH", str(shim.parent))
    yield


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for orphans in /proc")
@pytest.mark.usefixtures("plugin_in_children")
def test_killed_encodes_go_on_and_end_in_the_same_picture(small_model: str, tmp_path: Path) -> None:
    met = run(kills=3, folder=tmp_path, model=small_model, seed=3, whole_tree=False)
    assert met["kills"] == 3
    assert met["files"] >= 1

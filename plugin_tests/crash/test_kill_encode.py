"""The short version of kill_encode."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin_tests.crash.kill_encode import run


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for orphans in /proc")
@pytest.mark.usefixtures("plugin_in_children")
def test_killed_encodes_go_on_and_end_in_the_same_picture(small_model: str, tmp_path: Path) -> None:
    met = run(kills=3, folder=tmp_path, model=small_model, seed=3, whole_tree=False)
    assert met["kills"] == 3
    assert met["files"] >= 1

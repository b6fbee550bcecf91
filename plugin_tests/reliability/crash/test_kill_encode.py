"""The short version of kill_encode."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin_tests.reliability.crash.kill_encode import measure
from plugin_tests.reliability.figures import Options, broken


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for orphans in /proc")
@pytest.mark.usefixtures("plugin_in_children")
def test_killed_encodes_go_on_and_end_in_the_same_picture(tmp_path: Path) -> None:
    assert broken(measure(Options(folder=tmp_path, quick=True))) == []

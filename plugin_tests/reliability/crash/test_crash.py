"""The short versions of what ``scripts/reliability.py`` measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin_tests.reliability.crash import failures, lifetimes
from plugin_tests.reliability.figures import Options, broken

pytestmark = pytest.mark.usefixtures("core", "plugin_in_children")


def test_failures_at_the_backends_steps_cost_one_frame_at_most(tmp_path: Path) -> None:
    assert broken(failures.measure(Options(folder=tmp_path, quick=True))) == []


@pytest.mark.slow
def test_cores_and_processes_end_well_whatever_is_pending(tmp_path: Path) -> None:
    assert broken(lifetimes.measure(Options(folder=tmp_path, quick=True))) == []

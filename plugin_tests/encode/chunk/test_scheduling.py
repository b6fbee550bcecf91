"""Encoding AV1 leaves the process as ordinary as it was: run as root, SVT-AV1 would make it real-time."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from vsdslnet.encode.chunk.encoders import Picture, choose_encoder, open_encoder
from vsdslnet.encode.chunk.scheduling import ordinary_scheduling
from vsdslnet.encode.settings import EncodeSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="scheduling policies are Linux's")


def policies() -> set[int]:
    """Of every thread of this process."""
    return {os.sched_getscheduler(int(entry.name)) for entry in Path("/proc/self/task").iterdir()}


def test_an_open_av1_encoder_has_no_real_time_thread_and_its_children_have_none(tmp_path: Path) -> None:
    settings = EncodeSettings(codec="av1", preset="draft")
    picture = Picture(width=64, height=64, frame_rate=Fraction(24), sample_aspect=Fraction(1))
    encoder = open_encoder(choose_encoder(settings), settings, picture=picture, frames=8, path=tmp_path / "chunk.obu")
    try:
        assert not policies() & {os.SCHED_FIFO, os.SCHED_RR}
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert int(child.stdout) == os.SCHED_OTHER
    finally:
        encoder.abort()


def test_what_was_real_time_before_stays_so() -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pytest.skip("only root may")
    try:
        with ordinary_scheduling():
            pass
        assert os.sched_getscheduler(0) == os.SCHED_RR
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

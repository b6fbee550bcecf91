"""Frames without a timestamp get one between those of their neighbours."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import vapoursynth as vs

from plugin_tests.encode.container.odd_media import film
from plugin_tests.encode.media import InProcessExecutor, video_times
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.missing_times import INVALID_TIMESTAMP as NONE
from vsdslnet.encode.source.missing_times import rising, usual_step

FRAME = Fraction(3600)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([0, 3600, 7200], [0, 3600, 7200]),
        ([NONE, NONE, NONE], [0, 3600, 7200]),
        ([NONE, 3600, 7200, NONE], [0, 3600, 7200, 10_800]),
        ([0, NONE, NONE, 9000, NONE], [0, 3000, 6000, 9000, 12_600]),  # telecined film keeps its pace
        ([0, NONE, 90_000, 93_600], [0, 3600, 90_000, 93_600]),  # something is missing
        ([9000, NONE, 3600, 7200], [9000, 12_600, 12_601, 12_602]),  # damage
        ([0, 0, 0], [0, 1, 2]),
    ],
)
def test_between_the_neighbours(given: list[int], wanted: list[int]) -> None:
    assert rising(given, FRAME) == wanted


def test_the_usual_step_is_that_of_frames_that_have_times() -> None:
    assert usual_step([0, 3600, NONE, NONE, 14_400, NONE, 90_000]) == 3600
    assert usual_step([0, 3600, 7200]) is None
    assert usual_step([NONE, NONE]) is None
    assert usual_step([NONE, 7200]) is None


@pytest.mark.parametrize(("rate", "suffix"), [(Fraction(25), "mpg"), (Fraction(30_000, 1001), "vob")])
def test_a_program_stream_keeps_its_pace(rate: Fraction, suffix: str, small_model: str, tmp_path: Path) -> None:
    """Several small frames lie in one packet, of which the first has a time; players and FFmpeg know the others'."""
    source = film(tmp_path / f"in.{suffix}", rate=rate, frames=48, sound="mp2", codec="mpeg2video")
    read: Any = vs.core.bs.VideoSource(str(source), exporttimestamps=1, cachemode=0)
    assert NONE in read["timestamps"]  # or there is nothing to test
    settings = EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av")
    done = encode_file(source, tmp_path / "out.mkv", settings, executor=InProcessExecutor())
    with av.open(str(source)) as container:
        times = [float(frame.time or 0) for frame in container.decode(video=0)]
    assert np.diff(video_times(done.output)) == pytest.approx(np.diff(times), abs=0.0011)
    with av.open(str(done.output)) as container:
        assert container.streams.video[0].average_rate == rate

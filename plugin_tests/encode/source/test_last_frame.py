"""A last frame that stays on, as of a slide show or a recorded screen, stays on in the finished file."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from plugin_tests.encode.conftest import Command
from vsdslnet.encode.source.clip import open_source
from vsdslnet.encode.source.last_frame import last_frame_seconds
from vsdslnet.encode.source.probe import open_media, probe

MILLISECONDS = Fraction(1, 1000)
VARIABLE = [0, 40, 80, 120, 500, 540]
CONSTANT = [0, 40, 80, 120, 160, 200]


def shown_at(path: Path, times: list[int], *, last: int, b_frames: int = 0) -> Path:
    """A film whose frames are shown at these milliseconds, the last one for ``last`` of them."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"bf": str(b_frames)})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        video.time_base = video.codec_context.time_base = MILLISECONDS
        packets = []
        for at in times:
            image = av.VideoFrame(64, 64, "yuv420p")
            for plane in image.planes:
                plane.update(bytes([128]) * plane.buffer_size)
            image.pts, image.time_base = at, MILLISECONDS
            packets += video.encode(image)
        lasting = dict(zip(times, [*(b - a for a, b in pairwise(times)), last], strict=True))
        for packet in [*packets, *video.encode(None)]:
            assert packet.pts is not None
            packet.duration = lasting[packet.pts]
            output.mux(packet)
    return path


def seconds_of(path: Path) -> float:
    with av.open(str(path)) as file:
        assert file.duration is not None
        return file.duration / av.time_base


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("times", [VARIABLE, CONSTANT])
def test_what_the_container_says_is_read(suffix: str, times: list[int], tmp_path: Path) -> None:
    path = shown_at(tmp_path / f"in{suffix}", times, last=5000)
    assert open_source(probe(path)).last_seconds == pytest.approx(5, abs=0.001)


def test_a_file_that_does_not_say_is_asked_in_vain(tmp_path: Path) -> None:
    path = shown_at(tmp_path / "in.ts", VARIABLE, last=5000)
    assert open_source(probe(path)).last_seconds is None
    whole = shown_at(tmp_path / "in.mkv", VARIABLE, last=40)
    with open_media(whole) as media:
        assert last_frame_seconds(media, 0, 540) == Fraction(40, 1000)
        assert last_frame_seconds(media, 0, 500) is None  # another one comes after it
        assert last_frame_seconds(media, 0, 541) is None


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize(("times", "b_frames"), [(VARIABLE, 0), (CONSTANT, 0), (VARIABLE, 2)])
def test_the_finished_file_lasts_as_long(
    suffix: str, times: list[int], b_frames: int, command: Command, tmp_path: Path
) -> None:
    source = shown_at(tmp_path / "in.mkv", times, last=5000, b_frames=b_frames)
    output = tmp_path / f"out{suffix}"
    done = command("encode", str(source), "-o", str(output), "--strength", "0")
    assert done.returncode == 0, done.stderr
    assert "not carried over" not in done.stderr
    with av.open(str(output)) as file:
        assert sorted(round(frame.time, 3) for frame in file.decode(video=0)) == [at / 1000 for at in times]
    # MP4's track counts from the first picture's decoding on.
    assert seconds_of(output) == pytest.approx(seconds_of(source), abs=0.001 if suffix == ".mkv" else 0.25)


def test_a_constant_rate_stays_one(command: Command, tmp_path: Path) -> None:
    times = [round(frame * 1001 / 24) for frame in range(12)]
    source = shown_at(tmp_path / "in.mkv", times, last=42)
    output = tmp_path / "out.mp4"
    assert command("encode", str(source), "-o", str(output), "--strength", "0").returncode == 0
    with av.open(str(output)) as file:
        lasting = {packet.duration for packet in file.demux(video=0) if packet.size}
        assert len(lasting) == 1
        assert file.streams.video[0].average_rate == Fraction(24_000, 1001)

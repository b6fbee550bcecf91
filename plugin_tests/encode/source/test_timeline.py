"""Joined recordings: what is added to the times of each stream from which packet on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from plugin_tests.encode.container.odd_media import film, join, tones
from vsdslnet.encode.source.probe import open_media
from vsdslnet.encode.source.timeline import Placer, Timeline, continued, read_timeline

UNIT = Fraction(1, 90_000)


def test_a_file_whose_times_can_not_jump_is_not_read(tmp_path: Path) -> None:
    with open_media(film(tmp_path / "a.mkv", start_seconds=0.5)) as media:
        assert read_timeline(media) == Timeline(start_seconds=0.5)


def test_a_join_is_found_in_every_stream(tmp_path: Path) -> None:
    part = film(tmp_path / "a.ts", rate=Fraction(25), frames=25, sound="mp2")
    with open_media(join(tmp_path / "b.ts", part, part, part)) as media:
        added = read_timeline(media).added
    assert set(added) == {0, 1}
    assert [number for number, _ in added[0]] == [25, 50]
    first, second = (seconds for _, seconds in added[0])
    assert first == pytest.approx(1.01, abs=0.03)
    assert second == pytest.approx(2 * first, abs=0.002)
    assert [seconds for _, seconds in added[1]] == [first, second]


def test_a_recording_that_begins_hours_later_goes_on_at_once(tmp_path: Path) -> None:
    part = film(tmp_path / "a.ts", rate=Fraction(25), frames=25, sound="mp2")
    later = film(tmp_path / "b.ts", rate=Fraction(25), frames=25, sound="mp2", start_seconds=7200)
    with open_media(join(tmp_path / "c.ts", part, later)) as media:
        added = read_timeline(media).added
    [(number, seconds)] = added[0]
    assert number == 25
    assert seconds == pytest.approx(-7199, abs=0.1)
    [(_, of_sound)] = added[1]
    assert of_sound == seconds


def test_sound_that_comes_long_after_the_later_picture_follows_it(tmp_path: Path) -> None:
    part = film(tmp_path / "a.ts", rate=Fraction(25), frames=25, sound="mp2")
    silent = film(tmp_path / "b.ts", rate=Fraction(25), frames=600, sound=None, start_seconds=7200)
    late = film(tmp_path / "c.ts", rate=Fraction(25), frames=25, sound="mp2", start_seconds=7224)
    with open_media(join(tmp_path / "d.ts", part, silent, late)) as media:
        added = read_timeline(media).added
    assert [seconds for _, seconds in added[1]] == [seconds for _, seconds in added[0]]


def test_a_pause_of_the_picture_that_sound_fills_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as output:
        video, audio = output.add_stream("mpeg2video", rate=25), output.add_stream("mp2", rate=48_000)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        packets = tones(audio, seconds=Fraction(14))
        for number in (*range(5), *range(330, 335)):
            image = av.VideoFrame(64, 48, "yuv420p")
            image.pts, image.time_base = number, Fraction(1, 25)
            packets += video.encode(image)
        packets += video.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * Fraction(packet.time_base)):
            output.mux(packet)
    with open_media(path) as media:
        assert read_timeline(media).added == {}


def test_frames_go_on_where_they_start_again() -> None:
    frames = [round(number * 3600) for number in range(5)]
    assert continued(frames + frames, UNIT, [(5, 0.2)]) == [number * 3600 for number in range(10)]
    far = [at + 90_000 * 7200 for at in frames]
    assert continued(frames + far, UNIT, [(5, 0.2 - 7200)]) == [number * 3600 for number in range(10)]
    assert continued(frames, UNIT, []) == frames


def test_packets_are_placed_by_their_number_in_their_stream() -> None:
    placer = Placer(Timeline(start_seconds=0.5, added={1: [(2, 3.0)]}))
    assert [placer.added_seconds(1) for _ in range(4)] == [-0.5, -0.5, 2.5, 2.5]
    assert placer.added_seconds(0) == -0.5

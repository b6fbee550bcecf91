"""Files as the world makes them: no tags and Vorbis, a transport stream that starts late, a phone held upright.

Needs the clips: VSDSLNET_CLIPS names their folder.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from plugin_tests.encode.chunk.test_light import light_by_numpy
from plugin_tests.encode.media import InProcessExecutor
from plugin_tests.reliability.conformance.hdr10_files import wrong_fields
from vsdslnet.encode.job.journal import Journal
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import Finished, encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import deliver, open_converted
from vsdslnet.encode.source.probe import probe

SETTINGS = EncodeSettings(model="dslnet-lut", preset="draft", chunk_frames=24)
CASES = [
    ("bbb_1920x1080_60fps_vp8.webm", ".mkv"),
    ("bbb_2500ms.ts", ".mkv"),
    ("bbb_2500ms.ts", ".mp4"),
    ("portrait_4k60.mp4", ".mp4"),
    ("portrait_4k60.mp4", ".mkv"),
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Made(NamedTuple):
    """An encode of a clip, its folder kept."""

    source: Path
    output: Path
    done: Finished


class Times(NamedTuple):
    """When pictures are shown and sound packets are played, in seconds, and what the packets hold."""

    pictures: list[float]
    sounds: list[float]
    sound_data: list[bytes]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[0] + case[1])
def made(request: pytest.FixtureRequest, core: Any, tmp_path_factory: pytest.TempPathFactory) -> Made:
    name, suffix = request.param
    source = Path(os.environ.get("VSDSLNET_CLIPS", "")) / name
    if not os.environ.get("VSDSLNET_CLIPS") or not source.is_file():
        pytest.skip("needs the real clips: set VSDSLNET_CLIPS to their folder")
    output = tmp_path_factory.mktemp("real") / f"out{suffix}"
    done = encode_file(source, output, SETTINGS, executor=InProcessExecutor(), reporter=QuietReporter(), keep=True)
    return Made(source, output, done)


def times(path: Path) -> Times:
    with av.open(str(path)) as container:
        pictures = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sounds = [packet for packet in container.demux(audio=0) if packet.size]
        at = [float(packet.pts * packet.time_base) for packet in sounds]
        return Times(pictures, at, [bytes(packet) for packet in sounds])


def test_every_picture_and_sound_comes_when_it_came(made: Made) -> None:
    before, after = times(made.source), times(made.output)
    assert made.done.frames == len(after.pictures) == len(before.pictures)
    assert after.sound_data == before.sound_data
    one_frame = (before.pictures[-1] - before.pictures[0]) / (len(before.pictures) - 1)
    shifts = [b - a for a, b in zip(before.pictures, after.pictures, strict=True)]
    assert max(shifts) - min(shifts) < 0.0021  # Matroska counts milliseconds, and so may the source
    sound_shifts = [b - a for a, b in zip(before.sounds, after.sounds, strict=True)]
    out_of_sync = max(abs(sound - shift) for sound in sound_shifts for shift in (min(shifts), max(shifts)))
    print(f"{made.output.name} of {made.source.name}: at most {1000 * out_of_sync:.2f} ms out of sync")
    assert out_of_sync < one_frame / 4
    with av.open(str(made.source)) as old, av.open(str(made.output)) as new:
        assert abs(new.duration - old.duration) / av.time_base < one_frame


def test_streams_and_tags_are_kept(made: Made) -> None:
    loses_a_tag = (made.source.name, made.output.suffix) == ("portrait_4k60.mp4", ".mp4")
    assert made.done.dropped == (["tag com.android.version (mp4 has no place for it)"] if loses_a_tag else [])
    with av.open(str(made.source)) as old, av.open(str(made.output)) as new:
        assert [stream.type for stream in new.streams] == [stream.type for stream in old.streams]
        codecs = [file.streams.audio[0].codec_context.name for file in (new, old)]
        # MP4 has one name for MPEG audio of all layers.
        assert codecs[0] == codecs[1] or (made.output.suffix, *codecs) == (".mp4", "mp3float", "mp2")
        for name in ("creation_time", "com.android.version"):
            kept = {key.lower(): value for key, value in new.metadata.items()}
            if name in old.metadata and (name == "creation_time" or made.output.suffix == ".mkv"):
                assert kept[name] == old.metadata[name]
        for ours, theirs in zip(new.streams, old.streams, strict=True):
            # MP4 can't leave a language out: it says that it is undetermined.
            assert ours.metadata.get("language", "und") == theirs.metadata.get("language", "und")
        picture, original = next(new.decode(video=0)), next(old.decode(video=0))
        assert (picture.width, picture.height) == (original.width, original.height)
        assert picture.rotation == original.rotation


def test_both_readers_find_hdr10(made: Made) -> None:
    assert wrong_fields(made.output, "hevc", made.done.light) == []


def test_the_light_in_the_file_is_what_numpy_finds_in_the_very_frames_that_were_encoded(made: Made) -> None:
    if (made.source.name, made.output.suffix) not in dict(reversed(CASES)).items():
        pytest.skip("measured in the clip's other container")
    index = made.output.with_name(f"{made.output.name}.vsdslnet")
    clip = deliver(open_converted(probe(made.source), SETTINGS, index=None), peak_nits=SETTINGS.peak_nits)
    journal = Journal(index, suffix="hevc")
    chunks = iter([journal.finished[number] for number in sorted(journal.finished)])
    digest, left, light = hashlib.sha256(), 0, [0.0, 0.0]
    for frame in clip.frames(close=True):
        if not left:
            chunk, digest = next(chunks), hashlib.sha256()
            left = chunk.frames
        planes = [np.ascontiguousarray(np.asarray(frame[plane])) for plane in range(3)]
        for plane in planes:
            digest.update(plane.data)
        left -= 1
        if not left:
            assert digest.hexdigest() == chunk.frames_sha256
        found = light_by_numpy(*(plane.astype(float) for plane in planes))
        light = [max(light[0], found[0]), max(light[1], found[1])]
    print(f"{made.source.name}: numpy {light[0]:.2f} and {light[1]:.2f} nits, file {made.done.light}")
    assert made.done.light.max_cll_nits == pytest.approx(light[0], abs=1)
    assert made.done.light.max_fall_nits == pytest.approx(light[1], abs=1)
    assert light[0] <= SETTINGS.peak_nits + 5  # a code of ten bits at 1000 nits is 10 nits wide

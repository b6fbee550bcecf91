"""Whole encodes: the finished file holds what the source held, in HDR10, and survives interruptions."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from plugin_tests.encode.chunk.test_light import light_by_numpy
from plugin_tests.encode.media import (
    InProcessExecutor,
    decoded_video,
    make_bare_clip,
    make_clip,
    packets,
    video_times,
)
from plugin_tests.reliability.conformance.hdr10_files import light_of_header, media_info, wrong_fields
from vsdslnet.encode.container.mux import mux
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import Journal
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import Finished, encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import deliver, open_converted
from vsdslnet.encode.source.probe import probe
from vsdslnet.errors import ArgumentError, BackendError, JobError, MediaError, OutputError
from vsdslnet.hdr10 import ContentLight


def encode(
    source: Path, output: Path, settings: EncodeSettings, *, limit: int | None = None, **options: Any
) -> tuple[Finished, list[int]]:
    """The result, and which chunks were made."""
    executor = InProcessExecutor(limit=limit)
    done = encode_file(source, output, settings, executor=executor, reporter=QuietReporter(), **options)
    return done, executor.made


@pytest.fixture
def settings(settings: EncodeSettings) -> EncodeSettings:
    """Plain conversion: what is tested here is not the picture, and a network takes ten times as long."""
    return replace(settings, strength=0.0)


@pytest.fixture(scope="module")
def rich_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(
        tmp_path_factory.mktemp("rich") / "rich.mkv",
        vfr=True,
        chapters=True,
        attachment=b"a font, say",
        tags={"title": "A film", "artist": "Someone"},
        sample_aspect=Fraction(4, 3),
        options={"bf": "2"},
    )


@pytest.mark.parametrize("codec", ["hevc", "av1"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_both_readers_find_hdr10_in_the_finished_file(
    codec: str, suffix: str, rich_source: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    output = tmp_path / f"out{suffix}"
    done, made = encode(rich_source, output, replace(settings, codec=codec))
    assert done.frames == 48
    assert len(made) >= 3
    lost = {
        (".mkv", "hevc"): [],
        (".mkv", "av1"): ["sample aspect ratio 4:3 (AV1 needs .mp4 for it)"],
        (".mp4", "hevc"): ["attachment 'note.txt' (only .mkv has a place for it)"],
        (".mp4", "av1"): ["attachment 'note.txt' (only .mkv has a place for it)"],
    }
    assert done.dropped == lost[suffix, codec]
    assert not output.with_name(f"{output.name}.vsdslnet").exists()

    info = media_info(output)
    assert wrong_fields(output, codec, done.light) == []
    if codec == "hevc":
        assert info["format_profile"].startswith("Main 10")
        assert info["masteringdisplay_luminance_source"] == "Container / Stream"

    light = (done.light.max_cll_nits, done.light.max_fall_nits)
    assert light_of_header(output) == {"light": light, "peak": (1000,)}
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        if (suffix, codec) != (".mkv", "av1"):
            assert stream.sample_aspect_ratio == Fraction(4, 3)
        assert stream.codec_context.pix_fmt == "yuv420p10le"
        keyframes = 0
        for frame in container.decode(stream):
            tags = (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range)
            assert tags == (9, 16, 9, 1)
            if frame.key_frame:
                keyframes += 1
                read = np.frombuffer(bytes(frame.side_data["CONTENT_LIGHT_LEVEL"]), np.uint32)
                assert tuple(read) == light
        assert keyframes == len(made)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_everything_but_the_picture_passes_through(
    suffix: str, rich_source: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    output = tmp_path / f"out{suffix}"
    encode(rich_source, output, settings)
    assert video_times(output) == pytest.approx(video_times(rich_source), abs=0.001)
    before, after = packets(rich_source, "audio"), packets(output, "audio")
    assert [data for _, data in after] == [data for _, data in before]
    first = before[0][0] - min(0, before[0][0])
    assert after[0][0] == pytest.approx(max(first, 0), abs=0.03)
    with av.open(str(output)) as container:
        assert container.metadata["title"] == "A film"
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One", "Two"]
        sound = container.streams.audio[0]
        assert sound.metadata["language"] == "fra"
        assert sound.metadata.get("title", sound.metadata.get("name")) == "Voix"
        if suffix == ".mkv":
            [note] = container.streams.attachments
            assert (note.name, note.mimetype, note.data) == ("note.txt", "text/plain", b"a font, say")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_rotation_passes_through(suffix: str, settings: EncodeSettings, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "phone.mp4", frames=10, rotation=-90)
    output = tmp_path / f"out{suffix}"
    encode(source, output, settings)
    with av.open(str(output)) as container:
        frame = next(container.decode(video=0))
        assert (frame.rotation, frame.width, frame.height) == (-90, 96, 64)


@pytest.mark.parametrize(("codec", "container"), [("mpeg4", "avi"), ("libx264", "h264")])
def test_frames_without_times_of_their_own_are_shown_at_the_frame_rate(
    codec: str, container: str, settings: EncodeSettings, tmp_path: Path
) -> None:
    source = make_bare_clip(tmp_path / f"bare.{container}", codec=codec, format=container)
    output = tmp_path / "out.mkv"
    done, _ = encode(source, output, settings)
    times = video_times(output)
    assert done.frames == len(times) == 20
    assert np.diff(times) == pytest.approx(1 / 24, abs=0.0011)
    assert 0 <= times[0] < 0.05
    with av.open(str(output)) as container_read:
        assert container_read.streams.video[0].average_rate == pytest.approx(24, rel=0.01)


def test_light_is_what_numpy_finds_in_the_delivered_frames(
    clip: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    done, _ = encode(clip, tmp_path / "out.mkv", settings)
    delivered = deliver(open_converted(probe(clip), settings, index=None), peak_nits=settings.peak_nits)
    lights = [
        light_by_numpy(*(np.asarray(frame[plane]).astype(float) for plane in range(3)))
        for frame in delivered.frames(close=True)
    ]
    assert done.light.max_cll_nits == pytest.approx(max(light[0] for light in lights), abs=1)
    assert done.light.max_fall_nits == pytest.approx(max(light[1] for light in lights), abs=1)


def test_an_interrupted_encode_goes_on_and_ends_in_the_same_picture(
    clip: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    whole, resumed = tmp_path / "whole.mkv", tmp_path / "resumed.mkv"
    first, all_chunks = encode(clip, whole, settings)
    with pytest.raises(KeyboardInterrupt):
        encode(clip, resumed, settings, limit=2)
    assert not resumed.exists()
    done, made = encode(clip, resumed, settings)
    assert made == all_chunks[2:]
    assert decoded_video(resumed) == decoded_video(whole)
    assert done.light == first.light


def test_chunks_hold_the_frames_of_the_whole_clip_bit_for_bit(
    clip: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    settings = replace(settings, strength=1.0)
    whole = deliver(open_converted(probe(clip), settings, index=None), peak_nits=settings.peak_nits)
    output = tmp_path / "out.mkv"
    encode(clip, output, settings, keep=True)
    journal = Journal(output.with_name("out.mkv.vsdslnet"), suffix="hevc")
    frames = list(whole.frames(close=False))
    at = 0
    for index in sorted(journal.finished):
        digest = hashlib.sha256()
        for frame in frames[at : at + journal.finished[index].frames]:
            for plane in range(3):
                digest.update(np.ascontiguousarray(np.asarray(frame[plane])).data)
        assert journal.finished[index].frames_sha256 == digest.hexdigest()
        at += journal.finished[index].frames
    assert at == 48


def test_changed_settings_are_refused_by_name_and_restart_starts_anew(
    clip: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    with pytest.raises(KeyboardInterrupt):
        encode(clip, output, settings, limit=1)
    other = replace(settings, peak_nits=600.0)
    with pytest.raises(JobError, match=r"peak_nits 1000.0 -> 600.0.*--restart"):
        encode(clip, output, other)
    _, made = encode(clip, output, other, restart=True)
    assert len(made) >= 3
    assert light_of_header(output)["peak"] == (600,)


def test_a_changed_source_is_refused(settings: EncodeSettings, tmp_path: Path) -> None:
    source, output = make_clip(tmp_path / "in.mkv", frames=30), tmp_path / "out.mkv"
    with pytest.raises(KeyboardInterrupt):
        encode(source, output, settings, limit=1)
    make_clip(source, frames=29)
    with pytest.raises(JobError, match=r"source file has changed.*--restart"):
        encode(source, output, settings)


def test_a_damaged_chunk_is_made_again(clip: Path, settings: EncodeSettings, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    with pytest.raises(KeyboardInterrupt):
        encode(clip, output, settings, limit=2)
    (tmp_path / "out.mkv.vsdslnet" / "chunk-000000.hevc").write_bytes(b"\0\0\1damage")
    _, made = encode(clip, output, settings)
    assert made[0] == 0
    assert 1 not in made


def test_a_stop_between_the_last_name_and_the_clearing_up_is_understood(
    clip: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    encode(clip, output, settings, keep=True)
    written = output.read_bytes()
    _, made = encode(clip, output, settings)
    assert made == []
    assert output.read_bytes() == written
    assert not (tmp_path / "out.mkv.vsdslnet").exists()


def test_a_stop_in_the_last_moment_of_clearing_up_does_not_cost_another_encode(
    clip: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    output.write_bytes(b"complete")
    (tmp_path / "out.mkv.vsdslnet").mkdir()
    (tmp_path / "out.mkv.vsdslnet" / "lock").touch()
    with pytest.raises(OutputError, match="is there already"):
        encode(clip, output, settings)
    assert output.read_bytes() == b"complete"


def test_an_existing_output_is_not_replaced_unasked(clip: Path, settings: EncodeSettings, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    output.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"):
        encode(clip, output, settings)
    assert output.read_bytes() == b"precious"
    encode(clip, output, settings, overwrite=True)
    assert len(video_times(output)) == 48


def test_a_bad_source_leaves_nothing_behind(settings: EncodeSettings, tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        encode(tmp_path / "missing.mkv", tmp_path / "out.mkv", settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"precision": "fp16", "device": "cpu"}, BackendError, "fp16"),
        ({"device": "cuda", "device_index": 63}, BackendError, "CUDA"),
        ({"matrix_in": 99}, ArgumentError, "matrix_in=99"),
        ({"matrix_in": 0}, ArgumentError, "matrix_in=0"),
        ({"transfer_in": 16}, ArgumentError, "transfer_in=16"),
    ],
)
def test_what_cannot_be_converted_as_asked_is_refused_before_anything_is_begun(
    changes: dict[str, Any],
    kind: type[Exception],
    says: str,
    clip: Path,
    settings: EncodeSettings,
    tmp_path: Path,
) -> None:
    with pytest.raises(kind, match=says):
        encode(clip, tmp_path / "out.mkv", replace(settings, strength=1.0, **changes))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_hdr_tag_is_overruled(settings: EncodeSettings, tmp_path: Path) -> None:
    right = make_clip(tmp_path / "right.mkv", frames=10, audio=False, colour=(1, 1, 1))
    wrong = make_clip(tmp_path / "wrong.mkv", frames=10, audio=False, colour=(1, 16, 1))
    encode(right, tmp_path / "right.hdr.mkv", settings)
    with pytest.raises(MediaError, match=r"is HDR already.*--transfer-in 1"):
        encode(wrong, tmp_path / "wrong.hdr.mkv", settings)
    encode(wrong, tmp_path / "wrong.hdr.mkv", replace(settings, transfer_in=1))
    assert decoded_video(tmp_path / "wrong.hdr.mkv") == decoded_video(tmp_path / "right.hdr.mkv")


def test_a_file_without_the_measured_light_is_not_given_out(
    clip: Path, settings: EncodeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ContentLight(max_cll_nits=1, max_fall_nits=1)

    def mux_another_light(job: Job, folder: Path, light: ContentLight, **options: Any) -> list[str]:
        return mux(job, folder, other, **options)

    monkeypatch.setattr("vsdslnet.encode.delivery.mux", mux_another_light)
    with pytest.raises(JobError, match="lacks the measured light"):
        encode(clip, tmp_path / "out.mkv", settings)
    assert not (tmp_path / "out.mkv").exists()


def test_two_encodes_of_one_output_are_not_let_run_at_once(
    clip: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "out.mkv.vsdslnet"
    folder.mkdir()
    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(JobError, match="another encode"):
            encode(clip, tmp_path / "out.mkv", settings)
    assert folder.exists()  # the first has no more than this while it looks through its source


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_one_line_and_the_job_goes_on_when_there_is_room(
    settings: EncodeSettings, tmp_path: Path
) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=48)
    disk = tmp_path / "disk"
    disk.mkdir()
    size = source.stat().st_size + 24_000
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", disk], check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        lavish = replace(settings, crf=0.0, parameters={"qpmax": "0"})
        with pytest.raises(JobError, match=r"no space is left|is the disk full") as caught:
            encode(source, disk / "out.mkv", lavish)
        assert "\n" not in str(caught.value)
        assert not (disk / "out.mkv").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        encode(source, disk / "out.mkv", lavish)
        assert len(video_times(disk / "out.mkv")) == 48
    finally:
        subprocess.run(["umount", disk], check=True)

"""Everything in a source arrives, or is refused or named before the first frame is computed."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from plugin_tests.encode.container.odd_media import cover_bytes, film, join, remux
from plugin_tests.encode.media import InProcessExecutor, make_clip, packets, video_times
from plugin_tests.reliability.conformance.hdr10_files import media_info
from vsdslnet.encode.container import source_packets
from vsdslnet.encode.container.tags import fresh_tags, lost_tags
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import Finished, encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import open_source
from vsdslnet.encode.source.probe import probe
from vsdslnet.errors import ArgumentError, DslnetError, MediaError, OutputError

TEXT = ("subrip", [(100, 300, "Hello"), (300, 450, "{\\i1}there{\\i0}")])


class Listener(QuietReporter):
    """Remembers what was said before the work, and how many chunks had been made by then."""

    def __init__(self, executor: InProcessExecutor) -> None:
        self._executor = executor
        self.said: list[tuple[list[str], int]] = []

    def noted(self, left_out: Any, warnings: Any) -> None:
        self.said.append(([*left_out, *warnings], len(self._executor.made)))


@pytest.fixture
def quick(tmp_path_factory: pytest.TempPathFactory, small_model: str) -> EncodeSettings:
    """Plain conversion: what is tested here is not the picture."""
    return EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av")


def encode(source: Path, output: Path, settings: EncodeSettings, **options: Any) -> tuple[Finished, list[str]]:
    """What came of it, and what was said before the first frame."""
    executor = InProcessExecutor()
    listener = Listener(executor)
    done = encode_file(source, output, settings, executor=executor, reporter=listener, **options)
    [(said, made)] = listener.said
    assert made == 0
    assert done.dropped == said
    return done, said


def refused(source: Path, output: Path, settings: EncodeSettings, kind: type[DslnetError], **options: Any) -> str:
    """What is said of it; nothing was computed and nothing is left behind."""
    before = set(output.parent.iterdir())
    executor = InProcessExecutor()
    with pytest.raises(kind) as caught:
        encode_file(source, output, settings, executor=executor, reporter=QuietReporter(), **options)
    assert executor.made == []
    assert set(output.parent.iterdir()) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def texts(path: Path) -> list[tuple[float, float, str]]:
    """(start, end, text) of the first subtitles."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        found = []
        for packet in container.demux(stream):
            for line in stream.decode2(packet) or () if packet.size else ():
                start = float(packet.pts * packet.time_base)
                length = float(packet.duration * packet.time_base)
                found.append((start, start + length, line.ass.decode().split(",", 8)[8]))
        return found


def samples(path: Path) -> np.ndarray[Any, Any]:
    """What is heard of the first channel."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def attached(path: Path) -> list[bytes]:
    """Cover pictures' bytes."""
    with av.open(str(path)) as container:
        covers = [s for s in container.streams.video if s.disposition & av.stream.Disposition.attached_pic]
        return [bytes(p) for cover in covers for p in container.demux(cover) if p.size]


@pytest.mark.parametrize(("sound", "suffix", "cure"), [("flac", ".mov", ".mkv or .mp4"), ("libopus", ".mov", ".mkv")])
def test_sound_that_the_container_can_not_hold_is_refused_by_name_and_left_out_only_when_asked(
    sound: str, suffix: str, cure: str, quick: EncodeSettings, tmp_path: Path
) -> None:
    source = film(tmp_path / "in.mkv", sound=sound)
    output = tmp_path / f"out{suffix}"
    said = refused(source, output, quick, OutputError)
    assert f"can't hold sound stream 1 ({sound.removeprefix('lib')})" in said
    assert cure in said
    assert "--drop 1" in said
    _, told = encode(source, output, quick, drop=[1])
    assert told == [f"sound stream 1 ({sound.removeprefix('lib')}), as asked"]
    with av.open(str(output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_pcm_that_mp4_can_not_place_is_refused_by_its_number(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", sound="pcm_s16le")  # Matroska does not say which channels these are
    said = refused(source, tmp_path / "out.mp4", quick, OutputError)
    assert "sound stream 1 (pcm_s16le)" in said
    assert "name a file ending in .mkv or .mov" in said


def test_sound_that_no_container_can_hold_is_refused_with_a_command(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.ts", sound="aac", container_options={"mpegts_flags": "latm"})
    said = refused(source, tmp_path / "out.mkv", quick, OutputError)
    assert "sound stream 1 (aac_latm)" in said
    assert "-c:a flac" in said


def test_only_a_stream_beside_the_picture_can_be_dropped(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv")
    for number in (0, 7):
        said = refused(source, tmp_path / "out.mkv", quick, ArgumentError, drop=[number])
        assert f"drop={number}" in said
        assert "(1)" in said


@pytest.mark.parametrize(
    ("codec", "container", "suffix", "becomes"),
    [
        ("subrip", "in.mkv", ".mp4", "mov_text"),
        ("subrip", "in.mkv", ".mov", "mov_text"),
        ("ass", "in.mkv", ".mp4", "mov_text"),
        ("webvtt", "in.mkv", ".mp4", "mov_text"),
        ("mov_text", "in.mp4", ".mkv", "srt"),
        ("mov_text", "in.mp4", ".mov", "mov_text"),
        ("subrip", "in.mkv", ".mkv", "srt"),
        ("ass", "in.mkv", ".mkv", "ssa"),
    ],
)
def test_text_subtitles_become_what_the_container_holds(
    codec: str, container: str, suffix: str, becomes: str, quick: EncodeSettings, tmp_path: Path
) -> None:
    lines = [(100, 300, "Hello"), (100, 300, "at once"), (300, 450, "there")]
    source = film(tmp_path / container, subtitles=(codec, lines))
    output = tmp_path / f"out{suffix}"
    _, said = encode(source, output, quick)
    assert said == []
    with av.open(str(output)) as written:
        assert written.streams.subtitles[0].codec_context.name == becomes
    found, told = texts(output), texts(source)
    assert [text for *_, text in found] == [text for *_, text in told]
    starts = [start for start, *_ in found]
    assert starts == pytest.approx([start for start, *_ in told], abs=0.002)


def test_italics_stay_italic(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", subtitles=TEXT)
    encode(source, tmp_path / "out.mp4", quick)
    encode(tmp_path / "out.mp4", tmp_path / "back.mkv", replace(quick, transfer_in=1))
    assert [text for *_, text in texts(tmp_path / "back.mkv")] == ["Hello", "{\\i1}there{\\i0}"]


def test_chapters_before_the_picture_are_moved_to_its_start(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", start_seconds=0.5, chapters=[(0, 200), (200, 700), (700, 1000)])
    for suffix in (".mkv", ".mp4"):
        output = tmp_path / f"out{suffix}"
        _, said = encode(source, output, quick)
        assert said == []
        with av.open(str(output)) as container:
            starts = [float(chapter["start"] * chapter["time_base"]) for chapter in container.chapters()]
        assert starts == pytest.approx([0, 0, 0.2], abs=0.001)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_chapters_without_a_title_or_after_the_start_keep_their_times(
    suffix: str, quick: EncodeSettings, tmp_path: Path
) -> None:
    plain = film(tmp_path / "plain.mkv", frames=24)
    told = [(200, "A"), (400, None), (700, "B")]
    with av.open(str(plain)) as before, av.open(str(tmp_path / "in.mkv"), "w") as after:
        copies = {stream.index: after.add_stream_from_template(stream, opaque=True) for stream in before.streams}
        after.set_chapters(
            [
                {"id": start, "start": start, "end": start + 100, "time_base": Fraction(1, 1000)}
                | {"metadata": {"title": title} if title else {}}
                for start, title in told
            ]
        )
        for packet in before.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                after.mux(packet)
    encode(tmp_path / "in.mkv", tmp_path / f"out{suffix}", quick)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        found = [(float(c["start"] * c["time_base"]), c["metadata"].get("title", "")) for c in container.chapters()]
    assert found == ([] if suffix == ".mkv" else [(0.0, "")]) + [(0.2, "A"), (0.4, ""), (0.7, "B")]


def test_the_text_track_of_mp4_s_chapters_is_not_told_as_lost(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", chapters=[(0, 200), (200, 500)])
    _, said = encode(source, tmp_path / "out.mkv", quick)
    assert said == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert len(container.chapters()) == 2


@pytest.mark.parametrize(("kind", "suffix"), [("mkv", ".mkv"), ("mkv", ".mp4"), ("mp4", ".mkv"), ("mp4", ".mp4")])
def test_a_cover_stays_a_cover(kind: str, suffix: str, quick: EncodeSettings, tmp_path: Path) -> None:
    cover = cover_bytes()
    if kind == "mkv":
        source = film(tmp_path / "in.mkv", attachments=[("cover.jpg", "image/jpeg", cover)])
    else:
        source = remux(film(tmp_path / "plain.mp4"), tmp_path / "in.mp4", cover=cover)
    _, said = encode(source, tmp_path / f"out{suffix}", quick)
    assert said == []
    assert attached(tmp_path / f"out{suffix}") == attached(source) == [cover]


def test_a_cover_that_mov_loses_is_named(quick: EncodeSettings, tmp_path: Path) -> None:
    source = remux(film(tmp_path / "plain.mp4"), tmp_path / "in.mp4", cover=cover_bytes())
    _, said = encode(source, tmp_path / "out.mov", quick)
    assert said == ["cover stream 2 (mjpeg) (.mkv has a place for it)"]


def test_attachments_of_an_unknown_kind_do_not_stop_matroska(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(
        tmp_path / "in.mkv", attachments=[("a.bin", "application/x-thing", b"123"), ("b.ttf", "font/ttf", b"4")]
    )
    _, said = encode(source, tmp_path / "out.mkv", quick)
    assert said == []
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [(a.name, a.data) for a in container.streams.attachments] == [("a.bin", b"123"), ("b.ttf", b"4")]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_what_an_edit_list_hides_stays_hidden(suffix: str, quick: EncodeSettings, tmp_path: Path) -> None:
    source = remux(film(tmp_path / "full.mp4", frames=30), tmp_path / "in.mp4", first_seconds=0.5)
    output = tmp_path / f"out{suffix}"
    encode(source, output, quick)
    with av.open(str(output)) as container:
        assert container.duration / av.time_base == pytest.approx(0.75, abs=0.06)
    heard, before = samples(output), samples(source)
    assert heard.size / 48_000 == pytest.approx(0.75, abs=0.06)
    assert np.abs(heard[:2000] - before[:2000]).max() < 0.001
    assert packets(output, "audio")[0][0] == pytest.approx(0, abs=0.06)
    assert video_times(output)[0] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_sound_of_an_ordinary_mp4_is_the_same_from_its_first_sample_on(
    suffix: str, quick: EncodeSettings, tmp_path: Path
) -> None:
    """Its first packet is hidden: encoders of AAC put one there for the decoder to warm up with."""
    source, output = film(tmp_path / "in.mp4"), tmp_path / f"out{suffix}"
    encode(source, output, quick)
    assert [data for _, data in packets(output, "audio")] == [data for _, data in packets(source, "audio")]
    assert np.array_equal(samples(output), samples(source))


def theora(path: Path) -> Path:
    """A second of Theora and Vorbis, which PyAV can't write; noise, as pictures like the one before are left out."""
    program = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    picture_and_sound = "testsrc2=s=64x48:r=24:d=1,noise=alls=20:allf=t [out0]; sine=d=1:r=48000 [out1]"
    codecs = ["-c:v", "libtheora", "-q:v", "8", "-c:a", "libvorbis"]
    subprocess.run([program, "-v", "error", "-f", "lavfi", "-i", picture_and_sound, *codecs, str(path)], check=True)
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_joined_ogg_goes_on_with_sound_in_step(suffix: str, quick: EncodeSettings, tmp_path: Path) -> None:
    source = join(tmp_path / "in.ogv", theora(tmp_path / "part.ogv"), tmp_path / "part.ogv")
    output = tmp_path / f"out{suffix}"
    done, said = encode(source, output, quick)
    assert said == []
    assert done.frames == 48
    assert video_times(output) == pytest.approx([number / 24 for number in range(48)], abs=0.001)
    sound = [at for at, _ in packets(output, "audio")]
    assert len(sound) == 2 * len(packets(tmp_path / "part.ogv", "audio"))
    assert sound[len(sound) // 2] == pytest.approx(1.0, abs=0.005)
    with av.open(str(output)) as container:
        assert container.duration == pytest.approx(2_000_000, abs=40_000)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_timestamps_that_start_again_go_on_with_sound_in_step(
    suffix: str, quick: EncodeSettings, tmp_path: Path
) -> None:
    part = film(tmp_path / "part.ts", rate=Fraction(25), frames=25, sound="mp2")
    longer = film(tmp_path / "longer.ts", rate=Fraction(25), frames=30, sound="mp2")
    source = join(tmp_path / "in.ts", part, longer, part)
    output = tmp_path / f"out{suffix}"
    done, said = encode(source, output, quick)
    assert said == []
    assert done.frames == 80
    pictures = np.array(video_times(output))
    sound = np.array([at for at, _ in packets(output, "audio")])
    assert np.diff(pictures).min() > 0.035
    assert np.diff(pictures).max() < 0.1
    assert np.diff(sound).min() > 0.02
    assert np.diff(sound).max() < 0.1
    # At the beginning of each part as far apart as in the part itself.
    own = video_times(part)[0] - packets(part, "audio")[0][0]
    a_part = len(packets(part, "audio"))
    a_longer = len(packets(longer, "audio"))
    for picture, packet in ((0, 0), (25, a_part), (55, a_part + a_longer)):
        assert pictures[picture] - sound[packet] == pytest.approx(own, abs=0.005)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_sound_that_becomes_another_kind_is_refused_by_name_and_time(
    suffix: str, quick: EncodeSettings, tmp_path: Path
) -> None:
    parts = [
        film(tmp_path / f"{sound}.ts", rate=Fraction(25), frames=25, sound=sound, start_seconds=at)
        for sound, at in (("ac3", 0), ("mp2", 1))
    ]
    source, output = join(tmp_path / "in.ts", *parts), tmp_path / f"out{suffix}"
    told = refused(source, output, quick, OutputError)
    assert re.search(r"can't hold sound stream 1 \(ac3\), which is of another kind from 1\.\d s on \(cut.*--drop", told)
    assert encode(source, output, quick, drop=[1])[0].frames == 50


def test_a_refusal_is_told_though_the_muxer_refuses_to_close_as_well(
    quick: EncodeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [
        film(tmp_path / f"{sound}.ts", rate=Fraction(25), frames=25, sound=sound, start_seconds=at)
        for sound, at in (("ac3", 0), ("mp2", 1))
    ]
    # Let MP4's muxer meet what it takes for AC-3.
    monkeypatch.setattr(source_packets, "_begins_as", lambda packet: True)
    assert "Invalid data" in refused(join(tmp_path / "in.ts", *parts), tmp_path / "out.mp4", quick, OutputError)


def test_sound_that_begins_too_late_for_its_kind_to_be_told_is_not_left_out_unasked(
    quick: EncodeSettings, tmp_path: Path
) -> None:
    silent = film(tmp_path / "a.ts", rate=Fraction(25), frames=25, sound=None)
    loud = film(tmp_path / "b.ts", rate=Fraction(25), frames=25, sound="mp2", start_seconds=1)
    source, output = join(tmp_path / "in.ts", silent, loud), tmp_path / "out.mkv"
    told = refused(source, output, quick, OutputError)
    assert re.search(r"can't hold sound stream 1 .*; convert it first \(ffmpeg .* -c:a flac OUT\.mkv\).*--drop 1", told)
    assert encode(source, output, quick, drop=[1])[0].frames == 50


@pytest.mark.parametrize("rate", [Fraction(24_000, 1001), Fraction(30_000, 1001), Fraction(25), Fraction(60_000, 1001)])
def test_a_constant_rate_in_milliseconds_is_constant_in_mp4(
    rate: Fraction, quick: EncodeSettings, tmp_path: Path
) -> None:
    source = film(tmp_path / "in.mkv", rate=rate, frames=40)
    encode(source, tmp_path / "out.mp4", quick)
    info = media_info(tmp_path / "out.mp4")
    assert info["frame_rate_mode"] == "CFR"
    assert float(info["frame_rate"]) == pytest.approx(float(rate), abs=0.001)
    assert video_times(tmp_path / "out.mp4") == pytest.approx([number / float(rate) for number in range(40)], abs=1e-4)


def test_a_tag_that_mp4_has_no_place_for_is_named_before_the_work(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv")
    with av.open(str(source)) as before, av.open(str(tmp_path / "tagged.mkv"), "w") as after:
        after.metadata.update({"title": "A film", "director": "Someone"})
        copies = {s.index: after.add_stream_from_template(s, opaque=True) for s in before.streams}
        for packet in before.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                after.mux(packet)
    _, said = encode(tmp_path / "tagged.mkv", tmp_path / "out.mp4", quick)
    assert said == ["tag DIRECTOR (.mp4 has no place for it)"]


def test_a_timecode_goes_into_mp4_and_numbers_of_mxf_stay_behind() -> None:
    tags = {"timecode": "01:00:00:00", "UID": "adab4424", "product_name": "OP1a Muxer", "artist": "A"}
    assert fresh_tags(tags) == {"timecode": "01:00:00:00", "artist": "A"}
    assert lost_tags(tags, "mp4") == []


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_stream_of_timecode_goes_on_as_what_it_says(suffix: str, quick: EncodeSettings, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mov", frames=12, tags={"timecode": "01:00:00:00"})
    with av.open(str(source)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "data"]
    assert encode(source, tmp_path / f"out{suffix}", quick)[1] == []
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        tags = {name.lower(): value for name, value in container.streams.video[0].metadata.items()}
    assert tags["timecode"] == "01:00:00:00"


@pytest.mark.parametrize(("suffix", "name"), [(".mkv", "title"), (".mp4", "name")])
def test_the_title_of_a_track_of_mp4_stays_its_title(
    suffix: str, name: str, quick: EncodeSettings, tmp_path: Path
) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=12)
    encode(source, tmp_path / f"out{suffix}", quick)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.audio[0].metadata[name] == "Voix"


def test_avi_with_mp3_arrives(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.avi", codec="mpeg4", sound="libmp3lame")
    for suffix in (".mkv", ".mp4"):
        _, said = encode(source, tmp_path / f"out{suffix}", quick)
        assert said == []
        assert [d for _, d in packets(tmp_path / f"out{suffix}", "audio")] == [d for _, d in packets(source, "audio")]


@pytest.mark.parametrize("codec", ["ffv1", "libvpx-vp9"])
def test_what_no_hdr10_file_has_is_named(codec: str, quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", codec=codec, pixel_format="yuva420p", sound=None)
    _, said = encode(source, tmp_path / "out.mkv", quick)
    assert said == ["alpha (HDR10 pictures are opaque)"]
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert "alpha_mode" not in container.streams.video[0].metadata


@pytest.mark.parametrize(
    ("later", "told", "cure"),
    [
        ({"size": (96, 48)}, "to 96x48 YUV420P8", "scale=64:48"),
        ({"pixel_format": "yuv422p"}, "to 64x48 YUV422P8", "-pix_fmt yuv420p"),
    ],
    ids=["size", "format"],
)
def test_a_picture_that_changes_in_the_middle_is_told_with_its_time(
    later: dict[str, Any], told: str, cure: str, quick: EncodeSettings, tmp_path: Path
) -> None:
    first = film(tmp_path / "a.ts", rate=Fraction(25), frames=25, sound="mp2")
    second = film(tmp_path / "b.ts", rate=Fraction(25), frames=25, sound="mp2", start_seconds=1, **later)
    source = join(tmp_path / "in.ts", first, second)
    said = refused(source, tmp_path / "out.mkv", quick, MediaError)
    assert re.search(r"changes at (0\.9|1\.0)", said)
    assert "from 64x48 YUV420P8" in said
    assert told in said
    assert cure in said
    with pytest.raises(MediaError, match="from 64x48"):  # so do preview and lut
        open_source(probe(source))


@pytest.mark.parametrize("name", ["in.mkv", "in.mp4"])
def test_an_end_that_is_missing_is_named_before_the_work(name: str, quick: EncodeSettings, tmp_path: Path) -> None:
    whole = film(tmp_path / f"whole{name}", frames=96, container_options={"movflags": "faststart"})
    _, said = encode(whole, tmp_path / "whole.out.mkv", quick)
    assert said == []
    source = tmp_path / name
    source.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])  # a download that was broken off
    _, [said_once] = encode(source, tmp_path / "out.mkv", quick)
    missing = re.fullmatch(r"the last (\d\.\d) s \(the source says that it lasts 4\.0 s and ends before: .*", said_once)
    assert missing is not None
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.duration / av.time_base == pytest.approx(4.0 - float(missing[1]), abs=0.1)

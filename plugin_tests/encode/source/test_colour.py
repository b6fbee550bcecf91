"""HDR is never taken for SDR, wherever a file says so; tags that stand in the container only are believed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.bitstream import BitStreamFilterContext

from plugin_tests.encode.conftest import Command
from plugin_tests.encode.dolby_vision import make_stream_with_rpus, with_record
from plugin_tests.encode.media import InProcessExecutor, picture
from vsdslnet.encode.chunk.scheduling import ordinary_scheduling
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import open_converted, open_source
from vsdslnet.encode.source.colour import check_frame, colours_in_words
from vsdslnet.encode.source.given import given
from vsdslnet.encode.source.probe import probe
from vsdslnet.errors import MediaError
from vsdslnet.plugin.color_tags import ColorOverrides

HDR10_DISPLAY = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"


def encode(path: Path, codec: str, *, pixel_format: str = "yuv420p10le", frames: int = 2, params: str = "") -> Path:
    """A small file whose video says nothing of colour unless ``params`` do."""
    with ordinary_scheduling(), av.open(str(path), "w") as output:
        video = output.add_stream(codec, rate=24)
        video.width, video.height, video.pix_fmt = 96, 64, pixel_format
        if codec == "libx265":
            # Without B frames: libx265 dates fewer than three with them by memory that nothing wrote.
            video.options = {"preset": "ultrafast", "x265-params": f"log-level=none:bframes=0:{params}"}
        for number in range(frames):
            rgb = av.VideoFrame.from_ndarray(picture(number, width=96, height=64), format="rgb24")
            frame = rgb.reformat(format=pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 24)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


def tag_container(source: Path, target: Path, colour: tuple[int, int, int]) -> Path:
    """The same packets in a container that says (matrix, transfer, primaries)."""
    with av.open(str(source)) as original, av.open(str(target), "w") as output:
        stream = original.streams.video[0]
        copy = output.add_stream_from_template(stream, opaque=True)
        context = copy.codec_context
        context.colorspace, context.color_trc, context.color_primaries = colour
        for packet in original.demux(stream):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    return target


CONTAINERS = [
    ("libx265", ".mkv"),
    ("libx265", ".mp4"),
    ("libx264", ".mkv"),
    ("prores_ks", ".mov"),
    ("libvpx-vp9", ".webm"),
    ("libsvtav1", ".mp4"),
    ("ffv1", ".mkv"),
]


@pytest.fixture(scope="module", params=CONTAINERS, ids=["".join(case) for case in CONTAINERS])
def untagged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    codec, suffix = request.param
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV here has no {codec}")
    pixel_format = {"prores_ks": "yuv422p10le", "libx264": "yuv420p", "libvpx-vp9": "yuv420p"}.get(codec, "yuv420p10le")
    return encode(tmp_path_factory.mktemp(codec) / f"plain{suffix}", codec, pixel_format=pixel_format)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_that_only_the_container_tells_is_refused(untagged: Path, tmp_path: Path, transfer: int, name: str) -> None:
    path = tag_container(untagged, tmp_path / untagged.name, (9, transfer, 9))
    with pytest.raises(MediaError, match=rf"is HDR already \(_Transfer={transfer}, {name} in the container\)"):
        probe(path)
    assert probe(path, transfer_in=1).width == 96


def test_sdr_tags_that_only_the_container_has_reach_the_frames(untagged: Path, tmp_path: Path) -> None:
    path = tag_container(untagged, tmp_path / untagged.name, (9, 14, 9))
    with open_source(probe(path)).clip.get_frame(1) as frame:
        assert (frame.props["_Matrix"], frame.props["_Transfer"], frame.props["_Primaries"]) == (9, 14, 9)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ("", "matrix ST170M, transfer BT709, primaries BT709, range limited; guessed: matrix, transfer, primaries"),
        (
            "colorprim=bt2020:transfer=bt2020-10:colormatrix=bt2020nc",
            "matrix BT2020-NCL, transfer BT2020-10, primaries BT2020, range limited, as it says itself",
        ),
        (
            "colormatrix=bt709:range=full",
            "matrix BT709, transfer BT709, primaries BT709, range full; guessed: transfer",
        ),
    ],
)
def test_info_says_what_colours_are_taken_for(params: str, words: str, tmp_path: Path) -> None:
    info = probe(encode(tmp_path / "a.mkv", "libx265", params=params))
    told = colours_in_words(info.tags, is_rgb=info.is_rgb, width=info.width, height=info.height)
    assert told.startswith(words)


def test_what_the_frames_say_is_not_overruled_by_the_container(tmp_path: Path) -> None:
    source = encode(
        tmp_path / "bt601.mkv", "libx265", params="colorprim=bt470bg:transfer=smpte170m:colormatrix=bt470bg"
    )
    path = tag_container(source, tmp_path / "both.mkv", (1, 1, 1))
    with open_source(probe(path)).clip.get_frame(0) as frame:
        assert (frame.props["_Matrix"], frame.props["_Transfer"], frame.props["_Primaries"]) == (5, 6, 5)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        # Broadcast HLG: the VUI says BT.2020 to old receivers, an SEI message says HLG to new ones (BT.2100 in DVB).
        ("colorprim=bt2020:transfer=bt2020-10:colormatrix=bt2020nc:atc-sei=18", "_Transfer=18, HLG"),
        (HDR10_DISPLAY, "MasteringDisplayMaxLuminance=1000 and no _Transfer"),
        ("colormatrix=ictcp", "_Matrix=14, ICtCp"),
    ],
)
def test_hdr_that_only_messages_in_the_stream_tell_is_refused(params: str, says: str, tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", "libx265", params=params)
    with pytest.raises(MediaError, match=says):
        probe(path)
    with pytest.raises(MediaError, match=says), open_source(probe(path, transfer_in=1)).clip.get_frame(0) as frame:
        check_frame(path, 0, frame.props, ColorOverrides())  # the planning pass sees the same


def test_bt2020_sdr_is_converted(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", "libx265", params="colorprim=bt2020:transfer=bt2020-10:colormatrix=bt2020nc")
    assert probe(path).container_tags == {}


@pytest.mark.parametrize(
    ("profile", "compatibility", "says"),
    [
        (5, 0, r"Dolby Vision profile 5, whose colours only its own decoders know.*libplacebo"),
        (7, 6, "Dolby Vision profile 7, over HDR10"),
        (8, 1, "Dolby Vision profile 8, over HDR10"),
        (8, 4, "Dolby Vision profile 8, over HLG"),
        (8, 3, "Dolby Vision profile 8, not over SDR"),
    ],
)
def test_dolby_vision_without_tags_is_refused_by_its_record(
    profile: int, compatibility: int, says: str, tmp_path: Path
) -> None:
    path = encode(tmp_path / "a.mp4", "libx265")
    with_record(path, profile=profile, compatibility=compatibility)
    with pytest.raises(MediaError, match=says) as caught:
        probe(path)
    assert "\n" not in str(caught.value)
    assert probe(path, transfer_in=1).width == 96


def test_dolby_vision_over_sdr_is_sdr(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", "libx265")
    with_record(path, profile=8, compatibility=2)
    [told] = probe(path).left_out
    assert told.startswith("Dolby Vision's metadata")


def test_dolby_vision_is_known_by_its_metadata_alone(core: Any, tmp_path: Path) -> None:
    import vapoursynth as vs

    path = make_stream_with_rpus(tmp_path / "a.hevc")
    with pytest.raises(MediaError, match=r"is HDR already \(DolbyVisionRPU and no _Transfer: Dolby Vision profile 5"):
        probe(path)
    clip = core.bs.VideoSource(str(path), cachemode=0, showprogress=0)
    with pytest.raises(vs.Error, match=r"HDR already \(DolbyVisionRPU.*transfer_in=1"):
        core.dslnet.Convert(clip)


@pytest.mark.parametrize("command_line", [("info",), ("encode", "-o", "o.mkv"), ("preview", "-o", "o.html"), ("lut",)])
def test_every_command_refuses_hdr_before_it_begins(
    command: Command, command_line: tuple[str, ...], tmp_path: Path
) -> None:
    path = tag_container(encode(tmp_path / "plain.mkv", "libx265"), tmp_path / "pq.mkv", (9, 16, 9))
    name, *options = command_line
    done = command(name, path, *options, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("\n") == 1
    assert "is HDR already" in done.stderr
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["plain.mkv", "pq.mkv"]


def with_matrix(source: Path, target: Path, matrix: int) -> Path:
    """The same H.264 with another matrix code in its VUI."""
    with av.open(str(source)) as original, av.open(str(target), "w") as output:
        stream = original.streams.video[0]
        copy = output.add_stream_from_template(stream, opaque=True)
        rewrite = BitStreamFilterContext(f"h264_metadata=matrix_coefficients={matrix}", stream)
        for packet in original.demux(stream):
            for rewritten in rewrite.filter(packet if packet.size else None):
                rewritten.stream = copy
                output.mux(rewritten)
    return target


def converted(path: Path, settings: EncodeSettings) -> list[bytes]:
    clip = open_converted(probe(path), settings, index=None)
    return [memoryview(plane).tobytes() for frame in clip.frames(close=True) for plane in frame]


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three frames that say nothing of their colours."""
    return encode(tmp_path_factory.mktemp("silent") / "a.mkv", "libx264", pixel_format="yuv420p", frames=3)


@pytest.mark.parametrize("matrix", [0, 3, 11, 15, 17])
def test_a_matrix_that_resize_refuses_is_guessed(matrix: int, silent: Path, small_model: str, tmp_path: Path) -> None:
    path = with_matrix(silent, tmp_path / "wrong.mkv", matrix)
    settings = EncodeSettings(model=small_model, strength=0.0)
    assert converted(path, settings) == converted(silent, settings)
    told = replace(settings, matrix_in=1)
    assert converted(path, told) == converted(silent, told) != converted(silent, settings)


def test_every_command_takes_a_matrix_that_resize_refuses(silent: Path, small_model: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from vsdslnet.tools.lut import write_lut
    from vsdslnet.tools.preview import write_report

    path = with_matrix(silent, tmp_path / silent.name, 15)
    settings = EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av")
    output = tmp_path / "out.mkv"
    assert encode_file(path, output, settings, executor=InProcessExecutor(), reporter=QuietReporter()).frames == 3
    results = []
    for number, source in enumerate((silent, path)):
        page, cube = tmp_path / f"{number}.html", tmp_path / f"{number}.cube"
        write_report(given(source), page, settings, at_seconds=[0.0])
        write_lut(given(source), cube, settings, at_seconds=0.0)
        results.append((page.read_text(), cube.read_text()))
    assert results[0] == results[1]

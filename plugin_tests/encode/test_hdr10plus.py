"""``hdr10plus``: dynamic metadata in finished files, read by FFmpeg and MediaInfo."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from pymediainfo import MediaInfo

from plugin_tests.encode.media import InProcessExecutor
from plugin_tests.hdr10plus.side_data import read_side_data
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import OutputError
from vsdslnet.hdr10plus.metadata import PERCENTAGES

CUT = 30  # the clip's second shot begins here


def encode(clip: Path, output: Path, settings: EncodeSettings, **more: Any) -> None:
    executor = more.pop("executor", None) or InProcessExecutor()
    encode_file(clip, output, settings, executor=executor, reporter=QuietReporter(), **more)


def with_options(settings: EncodeSettings, **more: Any) -> EncodeSettings:
    return EncodeSettings(**(vars(settings) | {"hdr10plus": True, "hdr10plus_target": 300} | more))


def frames_of(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def side_data(frame: av.VideoFrame) -> dict[str, Any]:
    return read_side_data(bytes(frame.side_data["DYNAMIC_HDR_PLUS"]))


@pytest.fixture(scope="module")
def made(clip: Path, small_model: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A plain file, and files with HDR10+ of both codecs, chunks of 16 frames so that shots cross them."""
    folder = tmp_path_factory.mktemp("hdr10plus")
    plain = EncodeSettings(model=small_model, strength=0.0, preset="draft", crf=4.0, encoder="av", chunk_frames=16)
    encode(clip, folder / "plain.mkv", plain)
    encode(clip, folder / "hevc.mkv", with_options(plain))
    encode(clip, folder / "av1.mp4", with_options(plain, codec="av1"))
    return {path.stem: path for path in folder.iterdir() if path.suffix != ".json"}


def wanted_of(path: Path) -> list[dict[str, Any]]:
    """What side data should say, frame by frame, from the JSON beside a file."""
    told = json.loads(path.with_suffix(".hdr10plus.json").read_text())
    return [
        {
            "country": 0,  # FFmpeg keeps it for the encoder's side only
            "version": 1,
            "windows": 1,
            "target_nits": scene["TargetedSystemDisplayMaximumLuminance"],
            "target_peaks": 0,
            "max_scl": tuple(scene["LuminanceParameters"]["MaxScl"]),
            "average_maxrgb": scene["LuminanceParameters"]["AverageRGB"],
            "distribution": dict(
                zip(
                    scene["LuminanceParameters"]["LuminanceDistributions"]["DistributionIndex"],
                    scene["LuminanceParameters"]["LuminanceDistributions"]["DistributionValues"],
                    strict=True,
                )
            ),
            "fraction_bright_pixels": 0,
            "mastering_peaks": 0,
            "tone_mapping": 1,
            "knee": (scene["BezierCurveData"]["KneePointX"], scene["BezierCurveData"]["KneePointY"]),
            "anchors": tuple(scene["BezierCurveData"]["Anchors"]),
            "saturation": 0,
        }
        for scene in told["SceneInfo"]
    ]


@pytest.mark.parametrize("name", ["hevc", "av1"])
def test_ffmpeg_reads_every_field_on_every_frame(made: dict[str, Path], name: str) -> None:
    found = [side_data(frame) for frame in frames_of(made[name])]
    wanted = wanted_of(made[name])
    assert len(found) == 48
    for have in found:
        have["country"] = 0
    assert found == wanted
    assert found[0]["target_nits"] == 300
    assert [found[n] == found[0] for n in (1, 15, 16, CUT - 1)] == [True] * 4, "a shot has one metadata, over chunks"
    assert found[CUT] != found[0]
    assert [found[n] == found[CUT] for n in (CUT + 1, 47)] == [True] * 2


def test_the_light_is_that_of_the_decoded_frames(made: dict[str, Path]) -> None:
    """Measured once more from the file: FFmpeg decodes, numpy converts and counts; coding changes a little."""
    frames = frames_of(made["hevc"])[:CUT]
    found = side_data(frames[0])
    nits = np.stack([maxrgb_nits(frame) for frame in frames])
    assert found["average_maxrgb"] / 10 == pytest.approx(nits.mean(), rel=0.02)
    for name, percent in {25: 25, 50: 50, 75: 75, 90: 90}.items():
        assert found["distribution"][name] / 10 == pytest.approx(np.percentile(nits, percent), rel=0.05, abs=0.3)
    assert found["distribution"][10] == pytest.approx(100 * (nits <= 100).mean(), abs=4)
    assert max(found["max_scl"]) / 10 == pytest.approx(nits.max(), rel=0.2)
    assert list(found["distribution"]) == list(PERCENTAGES)


def maxrgb_nits(frame: av.VideoFrame) -> np.ndarray[Any, Any]:
    """Light of each luma sample's brightest channel, chroma by nearest neighbour (BT.2020 NCL, ST 2084)."""
    planes = [np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes]
    luma = (planes[0] - 64.0) / 876
    blue, red = (np.repeat(np.repeat((plane - 512.0) / 896, 2, 0), 2, 1) for plane in planes[1:])
    r, b = luma + 1.4746 * red, luma + 1.8814 * blue
    g = (luma - 0.2627 * r - 0.0593 * b) / 0.678
    root = np.clip(np.maximum(np.maximum(r, g), b), 0, 1) ** (32 / 2523)
    light = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return 10_000 * light ** (16384 / 2610)


def test_mediainfo_says_hdr10_plus_and_hdr10(made: dict[str, Path]) -> None:
    """MediaInfo 24.12, of the wheel, does not look for it in AV1."""
    (video,) = MediaInfo.parse(made["hevc"]).video_tracks
    assert "SMPTE ST 2094 App 4" in video.hdr_format
    assert "HDR10+ Profile B" in video.hdr_format_compatibility
    assert "SMPTE ST 2086" in video.hdr_format


@pytest.mark.skipif(shutil.which("x265") is None, reason="there is no x265 program")
def test_the_x265_program_s_files_say_the_same(
    made: dict[str, Path], clip: Path, tmp_path: Path, small_model: str
) -> None:
    output = tmp_path / "program.mkv"
    plain = EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="x265", chunk_frames=16)
    encode(clip, output, with_options(plain))
    by_library = made["hevc"].with_suffix(".hdr10plus.json")
    assert output.with_suffix(".hdr10plus.json").read_bytes() == by_library.read_bytes()
    assert [side_data(f) for f in frames_of(output)] == [side_data(f) for f in frames_of(made["hevc"])]
    (video,) = MediaInfo.parse(output).video_tracks
    assert "HDR10+ Profile B" in video.hdr_format_compatibility


def test_a_file_without_it_is_as_it_was(made: dict[str, Path]) -> None:
    plain, dynamic = frames_of(made["plain"]), frames_of(made["hevc"])
    assert not any("DYNAMIC_HDR_PLUS" in frame.side_data for frame in plain)
    assert not made["plain"].with_suffix(".hdr10plus.json").exists()
    for one, other in zip(plain, dynamic, strict=True):
        assert one.to_ndarray().tobytes() == other.to_ndarray().tobytes()
        assert bytes(one.side_data["CONTENT_LIGHT_LEVEL"]) == bytes(other.side_data["CONTENT_LIGHT_LEVEL"])


def test_an_encode_that_goes_on_gives_the_same_file(
    made: dict[str, Path], clip: Path, tmp_path: Path, small_model: str
) -> None:
    output = tmp_path / "resumed.mkv"
    plain = EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av", chunk_frames=16)
    with pytest.raises(KeyboardInterrupt):
        encode(clip, output, with_options(plain), executor=InProcessExecutor(limit=2))
    encode(clip, output, with_options(plain))
    assert (
        output.with_suffix(".hdr10plus.json").read_bytes() == made["hevc"].with_suffix(".hdr10plus.json").read_bytes()
    )
    assert [side_data(f) for f in frames_of(output)] == [side_data(f) for f in frames_of(made["hevc"])]


def test_a_json_that_is_there_already_is_kept(clip: Path, tmp_path: Path, settings: EncodeSettings) -> None:
    (tmp_path / "film.hdr10plus.json").write_text("mine")
    with pytest.raises(OutputError, match=r"film\.hdr10plus\.json: is there already; .* --overwrite"):
        encode(clip, tmp_path / "film.mkv", with_options(settings))
    assert (tmp_path / "film.hdr10plus.json").read_text() == "mine"

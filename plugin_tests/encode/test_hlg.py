"""Finished files in HLG, read by FFmpeg and MediaInfo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import colour
import numpy as np
import pytest
from pymediainfo import MediaInfo

from plugin_tests.encode.media import InProcessExecutor
from vsdslnet.color.hlg import system_gamma
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import ArgumentError

PEAK_NITS = 800.0


@pytest.fixture(scope="module")
def made(clip: Path, small_model: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """HLG of both codecs, and PQ, all of good quality."""
    folder = tmp_path_factory.mktemp("hlg")
    more: dict[str, Any] = {
        "model": small_model,
        "strength": 0.0,
        "peak_nits": PEAK_NITS,
        "encoder": "av",
        "preset": "draft",
        "crf": 4.0,
    }
    for name, options in {
        "pq.mkv": {},
        "hevc.mkv": {"transfer": "hlg"},
        "av1.mp4": {"transfer": "hlg", "codec": "av1"},
    }.items():
        encode_file(clip, folder / name, EncodeSettings(**(more | options)), executor=InProcessExecutor())
    return {path.stem: path for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["hevc", "av1"])
def test_tags_say_hlg_and_no_mastering_display(made: dict[str, Path], name: str) -> None:
    with av.open(str(made[name])) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (9, 18, 9, 1)
        assert not {"mastering_display_metadata", "content_light_level"} & set(context.coded_side_data)
        frames = list(container.decode(video=0))
    assert len(frames) == 48
    for frame in frames:
        assert (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range) == (9, 18, 9, 1)
        assert not {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} & {data.type.name for data in frame.side_data}
    (video,) = MediaInfo.parse(made[name]).video_tracks
    assert (video.color_primaries, video.transfer_characteristics) == ("BT.2020", "HLG")
    assert video.matrix_coefficients == "BT.2020 non-constant"
    assert video.mastering_display_luminance is None
    assert video.maximum_content_light_level is None


@pytest.mark.parametrize("name", ["hevc", "av1"])
def test_the_light_on_a_display_of_the_peak_is_that_of_pq(made: dict[str, Path], name: str) -> None:
    pq, hlg = rgb_of(made["pq"]), rgb_of(made[name])
    wanted = colour.models.eotf_ST2084(np.clip(pq, 0, 1))
    shown = colour.models.eotf_BT2100_HLG(np.clip(hlg, 0, 1.09), L_B=0, L_W=PEAK_NITS, gamma=system_gamma(PEAK_NITS))
    difference = np.abs(colour.models.eotf_inverse_ST2084(np.maximum(shown, 0)) - np.clip(pq, 0, 1))[wanted > 1]
    assert difference.mean() * 1023 < 3, "two encodes of 10 bits with loss"
    assert abs(shown.mean() / wanted.mean() - 1) < 0.01


def rgb_of(path: Path) -> np.ndarray[Any, Any]:
    """R'G'B' of the first and the last frame, (2, height, width, 3), chroma by nearest neighbour (BT.2020 NCL)."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pictures = []
    for frame in (frames[0], frames[-1]):
        planes = [np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes]
        luma = (planes[0] - 64.0) / 876
        blue, red = (np.repeat(np.repeat((plane - 512.0) / 896, 2, 0), 2, 1) for plane in planes[1:])
        r, b = luma + 1.4746 * red, luma + 1.8814 * blue
        pictures.append(np.stack([r, (luma - 0.2627 * r - 0.0593 * b) / 0.678, b], -1))
    return np.stack(pictures)


def test_hdr10plus_is_for_pq_alone() -> None:
    with pytest.raises(ArgumentError, match=r"hdr10plus=True is not allowed: only with transfer pq"):
        EncodeSettings(transfer="hlg", hdr10plus=True)

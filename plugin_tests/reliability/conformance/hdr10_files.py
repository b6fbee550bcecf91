"""HDR10 files of every preset and codec: what MediaInfo and PyAV (FFmpeg) read out of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
from pymediainfo import MediaInfo

from plugin_tests.encode.media import InProcessExecutor, make_clip
from plugin_tests.reliability.figures import Figure, Options, none_of
from plugin_tests.small_network import save_small_network
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.hdr10 import DISPLAY_P3_D65, ContentLight

__all__ = ["light_of_header", "measure", "media_info", "wrong_fields"]

PRESETS = ("draft", "balanced", "archive")
CODECS = ("hevc", "av1")
PEAK_NITS = 1000


def measure(options: Options) -> list[Figure]:
    """Encode a small clip each way and read every field with both readers."""
    model = str(save_small_network(options.folder / "files.safetensors", cheapest=True))
    source = make_clip(options.folder / "in.mkv", frames=10, width=64, height=64)
    combinations = [(preset, codec, suffix) for preset in PRESETS for codec in CODECS for suffix in (".mkv", ".mp4")]
    if options.quick:
        combinations = [("balanced", "hevc", ".mkv"), ("archive", "hevc", ".mp4"), ("balanced", "av1", ".mp4")]
    failures: list[str] = []
    for preset, codec, suffix in combinations:
        output = options.folder / f"{preset}-{codec}{suffix}"
        settings = EncodeSettings(
            model=model, preset=preset, codec=codec, encoder="av", chunk_frames=8, peak_nits=PEAK_NITS
        )
        done = encode_file(source, output, settings, executor=InProcessExecutor(), reporter=QuietReporter())
        failures += [f"{output.name}: {wrong}" for wrong in wrong_fields(output, codec, done.light)]
    words = "HDR10 files of every preset, codec and container have every field right"
    return [
        none_of(
            words,
            failures,
            len(combinations),
            "files (12 fields of MediaInfo, 10 for AV1, and 17 of PyAV each)",
        )
    ]


def wrong_fields(path: Path, codec: str, light: ContentLight) -> list[str]:
    """Fields that are not as they should be, by name, found and expected value."""
    info = media_info(path)
    found = _compare(
        "MediaInfo", {name: str(info.get(name, "")) for name in info}, _expected_of_media_info(codec, light)
    )
    return found + _compare("PyAV", _fields_of_av(path), _expected_of_av(light))


def _compare(reader: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    return [
        f"{reader}: {name} is {found.get(name)!r}, not {value!r}"
        for name, value in expected.items()
        if (not f"{found.get(name)} ".startswith(value) if isinstance(value, str) else found.get(name) != value)
    ]


def media_info(path: Path) -> dict[str, Any]:
    """MediaInfo's fields of the video track."""
    data: dict[str, Any] = MediaInfo.parse(str(path)).video_tracks[0].to_data()
    return data


def _expected_of_media_info(codec: str, light: ContentLight) -> dict[str, str]:
    """Beginnings of MediaInfo's texts."""
    # It doesn't read SVT-AV1's sequence header, in files of FFmpeg's own muxer either; PyAV's pixel format has both.
    samples = {"bit_depth": "10", "chroma_subsampling": "4:2:0"} if codec == "hevc" else {}
    return samples | {
        "format": {"hevc": "HEVC", "av1": "AV1"}[codec],
        "hdr_format": "SMPTE ST 2086",
        "color_range": "Limited",
        "color_primaries": "BT.2020",
        "transfer_characteristics": "PQ",
        "matrix_coefficients": "BT.2020 non-constant",
        "mastering_display_color_primaries": "Display P3",
        "mastering_display_luminance": f"min: 0.0001 cd/m2, max: {PEAK_NITS} cd/m2",
        "maximum_content_light_level": f"{light.max_cll_nits} ",
        "maximum_frameaverage_light_level": f"{light.max_fall_nits} ",
    }


def _expected_of_av(light: ContentLight) -> dict[str, Any]:
    red, green, blue, white = DISPLAY_P3_D65
    return {
        "pixel format": "yuv420p10le",
        "primaries, transfer, matrix, range": (9, 16, 9, 1),
        "MaxCLL, MaxFALL": (light.max_cll_nits, light.max_fall_nits),
        "mastering primaries and white": tuple(round(v, 3) for xy in (red, green, blue, white) for v in xy),
        "mastering luminance": (0.0001, float(PEAK_NITS)),
    }


def _fields_of_av(path: Path) -> dict[str, Any]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        header = light_of_header(path)
        frame = next(container.decode(stream))
        display = np.frombuffer(stream.codec_context.coded_side_data["mastering_display_metadata"][:80], np.int32)
        ratios = display.reshape(-1, 2)
        numbers = [round(float(a) / float(b), 4) for a, b in ratios]
        return {
            "pixel format": stream.codec_context.pix_fmt,
            "primaries, transfer, matrix, range": (
                int(frame.color_primaries),
                int(frame.color_trc),
                int(frame.colorspace),
                int(frame.color_range),
            ),
            "MaxCLL, MaxFALL": header["light"],
            "mastering primaries and white": tuple(round(number, 3) for number in numbers[:8]),
            "mastering luminance": tuple(numbers[8:10]),
        }


def light_of_header(path: Path) -> dict[str, tuple[int, ...]]:
    """Content light and peak of the mastering display, as PyAV reads the container's header."""
    with av.open(str(path)) as container:
        side_data = container.streams.video[0].codec_context.coded_side_data
    light = np.frombuffer(side_data["content_light_level"], np.uint32)
    mastering = np.frombuffer(side_data["mastering_display_metadata"][:88], np.int32)
    return {"light": tuple(map(int, light)), "peak": (int(mastering[18]) // int(mastering[19]),)}

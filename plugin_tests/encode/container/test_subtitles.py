"""Subtitles go on as they are: bitmaps and styled text to the byte, read back and drawn by another FFmpeg."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest

from plugin_tests.encode.media import InProcessExecutor, make_clip
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.probe import probe
from vsdslnet.errors import OutputError

WIDTH, HEIGHT = 96, 64
BOX = (16, 8, 48, 24)  # left, top, width, height
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

ASS = """[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,20,&H0000FFFF,0,2,10,10,10,1
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.20,0:00:01.00,Default,,0,0,0,,{\\i1}Bonjour{\\i0}
"""


def presentation_graphics() -> bytes:
    """A disc's white box from 0 to 1 s (PGS): composition, window, palette, object, end; then an empty composition."""
    left, top, width, height = BOX

    def segment(kind: int, data: bytes, at: int) -> bytes:
        return b"PG" + struct.pack(">IIBH", at, 0, kind, len(data)) + data

    def composition(at: int, number: int, state: int, objects: int) -> bytes:
        head = struct.pack(">HHBHBBBB", WIDTH, HEIGHT, 0x10, number, state, 0, 0, objects)
        return segment(0x16, head + objects * struct.pack(">HBBHH", 0, 0, 0, left, top), at)

    def window(at: int) -> bytes:
        return segment(0x17, struct.pack(">BBHHHH", 1, 0, left, top, width, height), at)

    palette = bytes([0, 0, 1, 235, 128, 128, 255])  # entry 1: limited-range white, opaque
    lines = height * (bytes([0, 0x80 | width, 1]) + b"\0\0")
    picture = struct.pack(">HBB", 0, 0, 0xC0) + struct.pack(">I", len(lines) + 4)[1:]
    picture += struct.pack(">HH", width, height) + lines
    shown = composition(0, 0, 0x80, 1) + window(0) + segment(0x14, palette, 0) + segment(0x15, picture, 0)
    return shown + segment(0x80, b"", 0) + composition(90_000, 1, 0, 0) + window(90_000) + segment(0x80, b"", 90_000)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A second of picture with a disc's subtitles, a DVD's and styled text."""
    (tmp_path / "disc.sup").write_bytes(presentation_graphics())
    (tmp_path / "text.ass").write_text(ASS)
    picture = make_clip(tmp_path / "picture.mkv", frames=24, width=WIDTH, height=HEIGHT, audio=False)
    inputs = [part for name in ("disc.sup", "disc.sup", "text.ass") for part in ("-i", tmp_path / name)]
    maps = [part for number in range(4) for part in ("-map", str(number))]
    kept = ["-c", "copy", "-c:s:1", "dvdsub"]
    subprocess.run([FFMPEG, "-v", "error", "-i", picture, *inputs, *maps, *kept, tmp_path / "film.mkv"], check=True)
    return tmp_path / "film.mkv"


def subtitles_of(path: Path) -> list[tuple[str, bytes, list[tuple[float, bytes]]]]:
    """Each one's codec, header, and packets with their times."""
    found = []
    with av.open(str(path)) as container:
        count = len(container.streams.subtitles)
    for number in range(count):
        with av.open(str(path)) as container:
            stream = container.streams.subtitles[number]
            context: Any = stream.codec_context
            packets = [packet for packet in container.demux(stream) if packet.size]
            read = [(float((packet.pts or 0) * packet.time_base), bytes(packet)) for packet in packets]
            found.append((context.name, bytes(context.extradata or b""), read))
    return found


def test_bitmaps_and_styles_arrive_to_the_byte(film: Path, small_model: str, tmp_path: Path) -> None:
    settings = EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av")
    done = encode_file(film, tmp_path / "out.mkv", settings, executor=InProcessExecutor())
    assert done.dropped == []
    arrived = subtitles_of(done.output)
    assert [codec for codec, _, _ in arrived] == ["pgssub", "dvdsub", "ssa"]
    assert arrived == subtitles_of(film)
    over = ["-filter_complex", "[0:v][0:s:0]overlay=format=yuv420p10"]
    raw = ["-pix_fmt", "gray10le", "-f", "rawvideo", "-"]
    drawn = subprocess.run([FFMPEG, "-v", "error", "-i", done.output, *over, *raw], capture_output=True, check=True)
    luma = np.frombuffer(drawn.stdout, np.uint16).reshape(-1, HEIGHT, WIDTH)[12]
    left, top, width, height = BOX
    # In the picture's own signal, white is PQ's 1: what docs/delivery.md warns of.
    assert np.all(luma[top : top + height, left : left + width] >= 936)
    assert luma[: top - 2].max() < 936


def test_bitmaps_have_no_place_in_mp4(film: Path, small_model: str, tmp_path: Path) -> None:
    settings = EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av")
    with pytest.raises(OutputError, match=r"\.mp4 can't hold subtitle stream 1 \(pgssub\)[^;]*; .*\.mkv.* --drop 1"):
        encode_file(film, tmp_path / "out.mp4", settings, executor=InProcessExecutor())


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_bitmap_without_an_end_makes_no_file_last_for_weeks(
    suffix: str, film: Path, small_model: str, tmp_path: Path
) -> None:
    with av.open(str(film)) as container:  # what FFmpeg's encoder of a DVD's subtitles writes
        assert (container.duration or 0) / av.time_base > 4e6
    assert probe(film).duration_seconds is None
    settings = EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av")
    done = encode_file(film, tmp_path / f"out{suffix}", settings, executor=InProcessExecutor(), drop=[1])
    assert [what.partition(",")[2] for what in done.dropped] == [" as asked"]
    with av.open(str(done.output)) as container:
        assert (container.duration or 0) / av.time_base == pytest.approx(1.0, abs=0.2)

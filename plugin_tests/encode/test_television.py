"""Television as discs, tuners and camcorders hold it: interlaced, either field first, with bars above and below.

The scene is panned by some pixels from field to field, so a picture at a wrong time lies beside the one that is wanted.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest

from plugin_tests.encode.media import InProcessExecutor, video_times
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.tools.demo_scene import dusk_frames

Array = np.ndarray[Any, Any]

FRAMES = 18
PAN = 4  # pixels a field
WITHIN = range(4, 2 * FRAMES - 4)  # ends have no neighbours to deinterlace by
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@dataclass(frozen=True)
class Broadcast:
    """How something is recorded."""

    suffix: str
    codec: str
    top_first: bool
    width: int = 176
    height: int = 144
    bar: int = 24
    options: dict[str, str] = field(default_factory=lambda: {"flags": "+ildct+ilme", "qscale": "2", "g": "6"})


RECORDINGS = {
    "MPEG-2 of a tuner": Broadcast("ts", "mpeg2video", top_first=True),
    "MPEG-2 of a disc": Broadcast("mpg", "mpeg2video", top_first=False),
    "H.264 with its field marks": Broadcast("mkv", "libx264", top_first=False, options={"x264-params": "tff=1:crf=8"}),
    "DV of a camcorder": Broadcast("avi", "dvvideo", top_first=False, width=720, height=576, bar=72, options={}),
}


def pictures_of(broadcast: Broadcast) -> list[Array]:
    """Luma and chroma (4:2:0 planes below each other) of each field's moment, bars included."""
    shown = broadcast.height - 2 * broadcast.bar
    scene = next(iter(dusk_frames(broadcast.width + 2 * FRAMES * PAN, shown, 1)))
    pictures = []
    for number in range(2 * FRAMES):
        image = np.zeros((broadcast.height, broadcast.width, 3), np.uint8)
        image[broadcast.bar : -broadcast.bar] = scene[:, number * PAN : number * PAN + broadcast.width]
        planes = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p", dst_colorspace="ITU601")
        pictures.append(planes.to_ndarray())
    return pictures


def woven(first: Array, second: Array, *, height: int, top_first: bool) -> Array:
    """Lines of two moments in one frame; chroma has lines of its own."""
    frame = first.copy()
    late = 1 if top_first else 0
    for begin, end in ((0, height), (height, height * 5 // 4), (height * 5 // 4, height * 3 // 2)):
        width = first.shape[1]
        into, of = (part[begin:end].reshape(-1, width if begin == 0 else width // 2) for part in (frame, second))
        into[late::2] = of[late::2]
    return frame


def record(path: Path, broadcast: Broadcast, pictures: list[Array]) -> Path:
    graph = av.filter.Graph()
    size = {"width": broadcast.width, "height": broadcast.height}
    graph.link_nodes(
        graph.add_buffer(**size, format="yuv420p", time_base=Fraction(1, 25)),
        graph.add("setfield", "tff" if broadcast.top_first else "bff"),
        graph.add("buffersink"),
    ).configure()
    with av.open(str(path), "w") as output:
        video = output.add_stream(broadcast.codec, rate=25)
        video.width, video.height, video.pix_fmt = broadcast.width, broadcast.height, "yuv420p"
        video.options = broadcast.options
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(
                woven(*pictures[2 * number : 2 * number + 2], height=broadcast.height, top_first=broadcast.top_first),
                format="yuv420p",
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            graph.push(frame)
            marked: Any = graph.pull()
            output.mux(video.encode(marked))
        output.mux(video.encode(None))
    return path


def seen_by_ffmpeg(path: Path) -> tuple[str, Array]:
    """What another FFmpeg says of the stream, and its luma: (frames, height, width)."""
    said = subprocess.run([FFMPEG, "-hide_banner", "-i", path], capture_output=True, text=True, check=False).stderr
    (stream,) = (line for line in said.splitlines() if "Video:" in line)
    width, height = (int(part) for part in re.search(r" (\d+)x(\d+)[ ,]", stream).groups())  # type: ignore[union-attr]
    raw = subprocess.run(
        [FFMPEG, "-v", "error", "-i", path, "-pix_fmt", "gray10le", "-fps_mode", "passthrough", "-f", "rawvideo", "-"],
        capture_output=True,
        check=True,
    ).stdout
    return stream, np.frombuffer(raw, np.uint16).reshape(-1, height, width)


def moments(frames: Array, pictures: list[Array], broadcast: Broadcast) -> list[int]:
    """Which moment each frame is most like, by the correlation of lumas."""
    shown = broadcast.height - broadcast.bar
    lumas = np.stack([planes[broadcast.bar : shown : 3].ravel() for planes in pictures])
    alike = np.corrcoef(np.concatenate([lumas, frames[:, ::3].reshape(len(frames), -1)]))
    return [int(moment) for moment in np.argmax(alike[len(lumas) :, : len(lumas)], axis=1)]


@pytest.fixture
def settings(small_model: str) -> EncodeSettings:
    return EncodeSettings(
        model=small_model, strength=0.0, preset="draft", encoder="av", deinterlace="field", crop="auto"
    )


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_field_becomes_a_picture_of_its_moment_without_the_bars(
    name: str, settings: EncodeSettings, tmp_path: Path
) -> None:
    broadcast = RECORDINGS[name]
    pictures = pictures_of(broadcast)
    path = record(tmp_path / f"in.{broadcast.suffix}", broadcast, pictures)
    done = encode_file(path, tmp_path / "out.mkv", settings, executor=InProcessExecutor())
    stream, frames = seen_by_ffmpeg(done.output)
    assert frames.shape == (2 * FRAMES, broadcast.height - 2 * broadcast.bar, broadcast.width)
    assert re.search(r"\(tv, bt2020nc/bt2020/smpte2084\b(?!.*(top|bottom) first)", stream)
    assert np.diff(video_times(done.output)) == pytest.approx(1 / 50, abs=0.0011)
    assert moments(frames[WITHIN], pictures, broadcast) == list(WITHIN)


def test_the_wrong_order_would_be_seen(settings: EncodeSettings, tmp_path: Path) -> None:
    broadcast = RECORDINGS["MPEG-2 of a tuner"]
    pictures = pictures_of(broadcast)
    path = record(tmp_path / "in.ts", broadcast, pictures)
    wrong = EncodeSettings(**vars(settings) | {"field_order": "bff"})
    done = encode_file(path, tmp_path / "out.mkv", wrong, executor=InProcessExecutor())
    found = moments(seen_by_ffmpeg(done.output)[1][WITHIN], pictures, broadcast)
    assert (np.diff(found) < 0).any()

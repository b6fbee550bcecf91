"""Fields of a moving bar become whole pictures, each with the bar where its field had it, at its field's time."""

from __future__ import annotations

import subprocess
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
from vsdslnet.encode.source.clip import open_source
from vsdslnet.encode.source.deinterlace import deinterlaced, field_times
from vsdslnet.encode.source.given import given
from vsdslnet.encode.source.look import look_at
from vsdslnet.errors import ArgumentError, MediaError, MissingPackageError

FRAMES, STEP = 12, 4
MIDDLE = 32  # line


def frame_of_fields(number: int, *, top_first: bool, moves: bool = True) -> np.ndarray[Any, Any]:
    """160x64 luma whose second field shows the bar STEP pixels farther than the first."""
    image = np.full((64, 160), 40, np.uint8)
    for field, line in enumerate((0, 1) if top_first else (1, 0)):
        left = (2 * number + (field if moves else 0)) * STEP
        image[line::2, left : left + 16] = 200
    return image


def write(path: Path, *, top_first: bool, marked: bool = True) -> Path:
    """25 frames a second in H.264, coded as fields where they are marked so."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 64, "yuv420p"
        video.options = {"crf": "1", **({"x264-params": "tff=1"} if marked else {})}
        for number in range(FRAMES):
            planes = np.full((96, 160), 128, np.uint8)
            planes[:64] = frame_of_fields(number, top_first=top_first)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            output.mux(video.encode(with_order(frame, top_first=top_first) if marked else frame))
        output.mux(video.encode(None))
    return path


def with_order(frame: av.VideoFrame, *, top_first: bool) -> av.VideoFrame:
    """The frame, marked as interlaced."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)),
        graph.add("setfield", "tff" if top_first else "bff"),
        graph.add("buffersink"),
    ).configure()
    graph.push(frame)
    marked = graph.pull()
    assert isinstance(marked, av.VideoFrame)
    marked.pts = None
    return marked


def bars(clip: Any) -> list[int | None]:
    """Where the bar begins in each frame; None where two neighbouring lines disagree."""
    found: list[int | None] = []
    for frame in clip.frames(close=True):
        first, second = (int(np.argmax(np.asarray(frame[0])[MIDDLE + line] > 120)) for line in (0, 1))
        found.append(first if abs(first - second) <= 1 else None)
    return found


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("marked", [True, False])
def test_each_picture_has_the_bar_where_its_field_had_it(top_first: bool, marked: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", top_first=top_first, marked=marked)
    order = "auto" if marked else "tff" if top_first else "bff"
    within = slice(2, -2)  # at the ends there is no motion to see
    for asked, each in (("frame", 2 * STEP), ("field", STEP)):
        source = open_source(look_at(given(path), EncodeSettings(deinterlace=asked, field_order=order)))
        expected = [each * number for number in range(len(source.clip))]
        assert len(source.clip) == (FRAMES if asked == "frame" else 2 * FRAMES)
        assert bars(source.clip)[within] == pytest.approx(expected[within], abs=1)
        assert len(source.timestamps) == len(source.clip)
        seconds = np.diff([at * float(source.time_base) for at in source.timestamps])
        assert seconds == pytest.approx(each / STEP / 50, abs=0.0011)


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize(("codec", "suffix"), [("ffvhuff", ".mkv"), ("jpeg2000", ".mov")])
def test_fields_that_the_container_alone_tells_are_believed_of_codecs_without_a_word(
    codec: str, suffix: str, top_first: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"b{suffix}"
    fields = write(tmp_path / "a.mkv", top_first=top_first)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", fields, "-flags", "+ilme", "-c:v", codec, path]
    subprocess.run(command, check=True)
    with av.open(str(path)) as container:
        assert not any(frame.interlaced_frame for frame in container.decode(video=0))
    with pytest.raises(MediaError, match="is interlaced; deinterlace it: --deinterlace frame"):
        look_at(given(path), EncodeSettings())
    clip = open_source(look_at(given(path), EncodeSettings(deinterlace="frame"))).clip
    assert bars(clip)[2:-2] == pytest.approx([2 * STEP * number for number in range(FRAMES)][2:-2], abs=1)


def test_frames_marked_as_progressive_stay(core: Any) -> None:
    import vapoursynth as vs

    blank = core.std.BlankClip(format=vs.GRAY8, width=160, height=64, length=FRAMES, keep=True)

    def fill(n: int, f: Any) -> Any:
        frame = f.copy()
        still = n % 3 == 0
        np.copyto(np.asarray(frame[0]), frame_of_fields(n, top_first=True, moves=not still))
        frame.props["_FieldBased"] = 0 if still else 2
        return frame

    clip = blank.std.ModifyFrame(blank, fill)
    for asked, times in (("frame", 1), ("field", 2)):
        whole = deinterlaced(clip, asked, "auto")
        for number in (3, 6, 9):
            for copy in range(times):
                with whole.get_frame(times * number + copy) as ours, clip.get_frame(number) as original:
                    assert np.array_equal(np.asarray(ours[0]), np.asarray(original[0]))
        assert all(frame.props["_FieldBased"] == 0 for frame in whole.frames(close=True))


def test_times_of_fields() -> None:
    assert field_times([0, 40, 100], Fraction(1, 1000), Fraction(40)) == (
        [0, 40, 80, 140, 200, 240],
        Fraction(1, 2000),
    )


def test_a_file_of_fields_as_a_whole(small_model: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", top_first=True)
    settings = EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av")
    with pytest.raises(MediaError, match=r"is interlaced; deinterlace it: --deinterlace frame, --deinterlace field"):
        encode_file(path, tmp_path / "out.mkv", settings, executor=InProcessExecutor())
    smooth = EncodeSettings(**vars(settings) | {"deinterlace": "field", "crop": "144:32:8:16"})
    done = encode_file(path, tmp_path / "out.mkv", smooth, executor=InProcessExecutor())
    assert (done.frames, done.dropped) == (2 * FRAMES, [])
    assert video_times(done.output) == pytest.approx(np.arange(2 * FRAMES) / 50, abs=0.0011)
    with av.open(str(done.output)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (144, 32, 50)
        assert not any(frame.interlaced_frame for frame in container.decode(stream))


def test_without_the_plugin_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mkv", top_first=True)

    class Core:
        """One without bwdif."""

    monkeypatch.setattr("vsdslnet.encode.source.deinterlace.vs.core", Core())
    with pytest.raises(
        MissingPackageError, match=r"--deinterlace needs vapoursynth-bwdif, .*pip install 'vsdslnet\[deinterlace\]'"
    ):
        look_at(given(path), EncodeSettings(deinterlace="frame"))


def test_an_order_of_nothing_is_refused() -> None:
    with pytest.raises(ArgumentError, match="field_order='tff' is not allowed: only with --deinterlace"):
        EncodeSettings(field_order="tff")

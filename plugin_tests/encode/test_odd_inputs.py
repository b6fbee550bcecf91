"""Films of one frame, of odd rates and names: converted, or one line before any work."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import vapoursynth as vs

from plugin_tests.encode.container.odd_media import film, join
from plugin_tests.encode.media import InProcessExecutor, picture, video_times
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import Finished, encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source import clip as source_clip
from vsdslnet.encode.source.clip import open_source
from vsdslnet.encode.source.given import given
from vsdslnet.encode.source.probe import probe
from vsdslnet.errors import MediaError
from vsdslnet.tools.lut import write_lut


@pytest.fixture
def quick(small_model: str) -> EncodeSettings:
    """Plain conversion: what is tested here is not the picture."""
    return EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av")


def encode(source: Path, output: Path, settings: EncodeSettings) -> Finished:
    return encode_file(source, output, settings, executor=InProcessExecutor(), reporter=QuietReporter())


def still(path: Path) -> Path:
    """A picture file."""
    image = av.VideoFrame.from_ndarray(picture(0, width=64, height=48), format="rgb24")
    name = {".png": "png", ".jpg": "mjpeg", ".bmp": "bmp", ".tiff": "tiff"}[path.suffix]
    context: Any = av.CodecContext.create(name, "w")
    context.width, context.height, context.time_base = 64, 48, Fraction(1, 25)
    context.pix_fmt = {"mjpeg": "yuvj420p", "bmp": "bgr24"}.get(name, "rgb24")
    image = image.reformat(format=context.pix_fmt)
    image.pts = 0
    path.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(image), *context.encode(None)]))
    return path


@pytest.mark.parametrize("name", ["one.mkv", "one.mp4", "one.ts", "still.png", "still.jpg", "still.bmp", "still.tiff"])
def test_one_frame_is_a_film_too(name: str, quick: EncodeSettings, tmp_path: Path) -> None:
    path = tmp_path / name
    source = film(path, frames=1, sound=None) if name.startswith("one") else still(path)
    for suffix in (".mkv", ".mp4"):
        done = encode(source, tmp_path / f"out{suffix}", quick)
        assert done.frames == 1
        assert len(video_times(tmp_path / f"out{suffix}")) == 1
    assert write_lut(given(source), tmp_path / "out.cube", quick, at_seconds=0.0) == 0


@pytest.mark.parametrize("codec", ["hevc", "av1"])
@pytest.mark.parametrize(("name", "rate"), [("slow.mp4", Fraction(1, 10)), ("fast.mkv", Fraction(1000))])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_frame_in_ten_seconds_and_a_thousand_a_second(
    name: str, rate: Fraction, suffix: str, codec: str, quick: EncodeSettings, tmp_path: Path
) -> None:
    source = film(tmp_path / name, frames=9, rate=rate, sound=None)
    encode(source, tmp_path / f"out{suffix}", replace(quick, codec=codec))
    times = video_times(tmp_path / f"out{suffix}")
    assert times == pytest.approx([number / float(rate) for number in range(9)], abs=0.0006)


@pytest.mark.parametrize("name", ["Alien: Romulus (2024).mkv", "a%03d.mkv", "-q.mkv", "film #1?.mkv", "pipe:0.mkv"])
def test_any_name_serves_from_its_own_folder(
    name: str, quick: EncodeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "plain.mkv").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert encode(Path(name), Path(f"out {name}"), quick).frames == 12
    assert len(video_times(tmp_path / f"out {name}")) == 12


def test_matroska_whose_time_starts_again_is_refused(quick: EncodeSettings, tmp_path: Path) -> None:
    source = join(tmp_path / "in.mkv", film(tmp_path / "part.mkv"), tmp_path / "part.mkv")
    with pytest.raises(MediaError, match=r"its time starts again after 0\.458 s.*mkvmerge -o"):
        encode(source, tmp_path / "out.mkv", quick)
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", "part.mkv"}


def test_an_average_that_is_nonsense_is_not_believed(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mp4", frames=24, sound=None)
    data = bytearray(source.read_bytes())
    at = data.index(b"stts") + 8
    entries = struct.unpack_from(">I", data, at)[0]
    count, delta = struct.unpack_from(">II", data, at + 4 + 8 * (entries - 1))
    if count > 1:  # the last frame would stay for as long as 12 frames, if it had an entry of its own
        pytest.skip("this muxer writes one duration for all frames")
    struct.pack_into(">II", data, at + 4 + 8 * (entries - 1), 1, delta * 12)
    source.write_bytes(data)
    encode(source, tmp_path / "out.mp4", quick)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].guessed_rate == 24


def test_pixels_that_the_container_hides_are_not_delivered(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", size=(64, 48))
    hidden = with_crop(source, tmp_path / "cropped.mkv", top=6, bottom=4, left=2, right=8)
    info = probe(hidden)
    assert info.crop == (2, 8, 6, 4)
    assert info.shown_size == (54, 38)
    whole, cropped = open_source(probe(source)).clip, open_source(info).clip
    with whole.get_frame(5) as before, cropped.get_frame(5) as after:
        assert np.array_equal(np.asarray(before[0])[6:-4, 2:-8], np.asarray(after[0]))
    encode(hidden, tmp_path / "out.mkv", quick)
    with av.open(str(tmp_path / "out.mkv")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (54, 38)
        assert stream.sample_aspect_ratio == 1


def with_crop(source: Path, target: Path, **pixels: int) -> Path:
    """The Matroska file with PixelCrop elements in its video track (RFC 9559, 5.1.4.1.28.8 and on)."""
    identities = {"bottom": 0x54AA, "top": 0x54BB, "left": 0x54CC, "right": 0x54DD}
    added = b"".join(struct.pack(">HBB", identities[name], 0x81, count) for name, count in pixels.items())
    data = source.read_bytes()
    segment = data.index(bytes.fromhex("18538067"))
    tracks = data.rindex(bytes.fromhex("1654ae6b"), segment, data.index(bytes.fromhex("1f43b675")))
    entry = child(data, tracks + 4, b"\xae")
    video = child(data, entry + 1, b"\xe0")
    for at, width in ((tracks, 4), (entry, 1), (video, 1)):
        data = grown(data, at + width, len(added))
    end = video + 1
    size, length = vint(data, end)
    data = data[: end + length + size - len(added)] + added + data[end + length + size - len(added) :]
    # A segment of unknown size: what lies in it has moved, and its seek head with its cues is not believed.
    size_at = segment + 4
    data = data[:size_at] + b"\x01" + b"\xff" * 7 + data[size_at + vint(data, size_at)[1] :]
    target.write_bytes(data)
    return target


def child(data: bytes, size_at: int, identity: bytes) -> int:
    """Where the first element of an identity begins in the one whose size lies there; numbers may look like it."""
    at = size_at + vint(data, size_at)[1]
    while not data.startswith(identity, at):
        size_at = at + 9 - data[at].bit_length()
        size, length = vint(data, size_at)
        at = size_at + length + size
    return at


def vint(data: bytes, at: int) -> tuple[int, int]:
    """(value, bytes) of an EBML size."""
    length = 9 - data[at].bit_length()
    return int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1), length


def grown(data: bytes, at: int, more: int) -> bytes:
    """An EBML size at a place, made larger in as many bytes."""
    value, length = vint(data, at)
    return data[:at] + (value + more | 1 << 7 * length).to_bytes(length, "big") + data[at + length :]


class Flaky:
    """BestSource that fails on several threads: when the file is opened, or at a frame."""

    def __init__(self, real: Any, *, at_frame: bool) -> None:
        self._real, self._at_frame = real, at_frame
        self.asked: list[int] = []

    def __call__(self, *args: Any, **options: Any) -> Any:
        threads = options.get("threads", 0)
        self.asked.append(threads)
        opened = self._real(*args, **options)
        if threads == 1:
            return opened
        if not self._at_frame:
            raise vs.Error("VideoSource: decoding failed")
        clip = opened["clip"] if isinstance(opened, dict) else opened

        def fail(n: int) -> vs.VideoNode:
            if n == 7:
                raise RuntimeError("decoding failed")
            return clip

        broken = clip.std.FrameEval(fail)
        return {**opened, "clip": broken} if isinstance(opened, dict) else broken


@pytest.mark.parametrize("at_frame", [False, True])
def test_a_source_that_fails_on_several_threads_is_decoded_on_one(
    at_frame: bool, quick: EncodeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = film(tmp_path / "in.mkv")
    flaky = Flaky(vs.core.bs.VideoSource, at_frame=at_frame)
    monkeypatch.setattr(source_clip, "_bestsource", lambda: flaky)
    assert encode(source, tmp_path / "out.mkv", quick).frames == 12
    assert flaky.asked[-1] == 1


def test_a_source_that_fails_on_one_thread_as_well_is_refused(
    quick: EncodeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = film(tmp_path / "in.mkv")

    def broken(*args: Any, **options: Any) -> Any:
        raise vs.Error("VideoSource: no decoder")

    monkeypatch.setattr(source_clip, "_bestsource", lambda: broken)
    with pytest.raises(MediaError, match=r"can't be decoded \(VideoSource: no decoder\)"):
        encode(source, tmp_path / "out.mkv", quick)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]

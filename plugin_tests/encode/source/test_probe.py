"""Sources are looked at before any work: what can't be converted is refused in one line."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pillow_heif
import pytest
import vapoursynth as vs
from PIL import Image

from plugin_tests.encode.container.odd_media import film
from plugin_tests.encode.media import make_clip
from plugin_tests.encode.source.tiled_picture import write_tiled_picture
from vsdslnet.encode.source.clip import open_source
from vsdslnet.encode.source.colour import container_tags
from vsdslnet.encode.source.probe import identify, probe
from vsdslnet.errors import MediaError


def audio_only(path: Path) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48_000)
        samples = np.zeros((2, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def bad_source(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.mkv"
    if kind == "directory":
        path.mkdir()
    elif kind == "text":
        path.write_text("not a film\n" * 100)
    elif kind == "empty":
        path.touch()
    elif kind == "audio":
        audio_only(path)
    elif kind == "unknown":
        make_clip(path, frames=4, audio=False)
        path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ"))
    elif kind == "hdr":
        make_clip(path, frames=4, audio=False, colour=(9, 16, 9))
    elif kind == "hlg":
        make_clip(path, frames=4, audio=False, colour=(9, 18, 9))
    elif kind == "interlaced":
        make_clip(path, frames=4, audio=False, options={"x264-params": "tff=1"})
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file"),
        ("directory", "is a directory"),
        ("text", "not a media file"),
        ("empty", "not a media file"),
        ("audio", "has no video"),
        ("unknown", "has no decoder for its video; convert it"),
        ("hdr", "is HDR already"),
        ("hlg", "is HDR already"),
        ("interlaced", "is interlaced; deinterlace"),
    ],
)
def test_a_source_that_cannot_be_converted_is_refused_in_one_line(kind: str, says: str, tmp_path: Path) -> None:
    path = bad_source(kind, tmp_path)
    with pytest.raises(MediaError, match=says) as caught:
        probe(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_geometry_rate_and_rotation_are_read(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=4, sample_aspect=Fraction(4, 3), rotation=-90)
    info = probe(path)
    assert (info.width, info.height) == (96, 64)
    assert info.frame_rate == 24
    assert info.sample_aspect == (4, 3)
    assert info.display_matrix == (0, 65_536, 0, -65_536, 0, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize(("pixel_format", "is_rgb"), [("bgr0", True), ("yuv420p", False), ("gray", False)])
def test_rgb_is_told_from_what_has_a_matrix(pixel_format: str, is_rgb: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", rate=24)
        video.width, video.height, video.pix_fmt = 64, 64, pixel_format
        grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8), format="rgb24")
        output.mux(video.encode(grey.reformat(format=pixel_format)))
        output.mux(video.encode(None))
    assert probe(path).is_rgb is is_rgb


def test_identity_is_of_the_bytes_whatever_the_date(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(10_000_000))
    first = identify(path)
    assert first.is_of(path)
    os.utime(path, ns=(1, 1))
    assert first.is_of(path)
    path.rename(tmp_path / "renamed")
    assert first.is_of(tmp_path / "renamed")
    with (tmp_path / "renamed").open("r+b") as file:
        file.seek(100_000)  # between two samples
        file.write(b"\1")
    assert not first.is_of(tmp_path / "renamed")
    path.write_bytes(bytes(9_999_999))
    assert not first.is_of(path)


def grey_ramp(path: Path, codec: str, pixel_format: str) -> Path:
    """Codes from black to white, the highest, in a picture file that does not say so."""
    codes = np.linspace(0, 65535 if "16" in pixel_format else 255, 64).round()
    ramp = np.tile(codes, (64, 1)).astype(np.uint16 if "16" in pixel_format else np.uint8)
    context: Any = av.CodecContext.create(codec, "w")
    context.width = context.height = 64
    context.time_base, context.pix_fmt = Fraction(1, 25), pixel_format
    frame = av.VideoFrame.from_ndarray(ramp, format=pixel_format)
    frame.pts = 0
    path.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.pgm", "pgm", "gray"),
        ("a16.pgm", "pgm", "gray16be"),
        ("a.pam", "pam", "gray"),
        ("a.tiff", "tiff", "gray"),
        ("a16.tiff", "tiff", "gray16le"),
        ("a.tga", "targa", "gray"),
        ("a.jp2", "jpeg2000", "gray"),
        ("a.png", "png", "gray"),
    ],
)
def test_white_of_a_grey_picture_is_its_highest_code(name: str, codec: str, pixel_format: str, tmp_path: Path) -> None:
    info = probe(grey_ramp(tmp_path / name, codec, pixel_format))
    assert info.tags["_Range"] == vs.RANGE_FULL
    clip = open_source(info).clip
    grey = clip.resize.Bicubic(format=vs.GRAYS)
    with grey.get_frame(0) as frame:
        assert np.asarray(frame[0])[32] == pytest.approx(np.linspace(0, 1, 64), abs=2 / 255)


@pytest.mark.parametrize(("codec", "tags"), [("hevc", {}), ("rawvideo", {"_Range": vs.RANGE_FULL})])
def test_grey_that_does_not_say_is_limited_range_where_its_standard_has_it(codec: str, tags: dict[str, int]) -> None:
    context = SimpleNamespace(
        **dict.fromkeys(("colorspace", "color_trc", "color_primaries"), 2),  # unspecified
        **dict.fromkeys(("color_range", "chroma_sample_location"), 0),
        format=av.VideoFormat("gray", 64, 48),
        name=codec,
    )
    assert container_tags(SimpleNamespace(codec_context=context)) == tags


def test_pixels_of_one_bit_are_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "a.pbm"
    path.write_bytes(b"P4\n64 64\n" + bytes(512))
    with pytest.raises(MediaError, match=r"pixels of one bit.*-pix_fmt gray"):
        probe(path)


@pytest.mark.parametrize("pixels", ["rgb555le", "rgb565le", "rgb8"])
def test_samples_of_few_bits_are_refused_before_the_decoder_meets_them(pixels: str, tmp_path: Path) -> None:
    path = film(tmp_path / "in.nut", codec="rawvideo", pixel_format=pixels, sound=None, frames=2)
    with pytest.raises(MediaError, match=rf"has {pixels} pixels, less than 8 bits a sample.*-pix_fmt gbrp OUT\.mkv"):
        probe(path)


@pytest.mark.parametrize("pixels", ["gray", "nv12", "bgr0", "gray10le"])
def test_samples_of_eight_bits_and_more_are_taken(pixels: str, tmp_path: Path) -> None:
    codec = "ffv1" if pixels == "gray10le" else "rawvideo"
    assert probe(film(tmp_path / "in.nut", codec=codec, pixel_format=pixels, sound=None, frames=2)).width == 64


@pytest.mark.parametrize("thumbnail", [False, True])
@pytest.mark.parametrize("suffix", [".avif", ".heic"])
def test_a_picture_in_tiles_is_refused_as_decoders_give_one_of_them(
    suffix: str, thumbnail: bool, tmp_path: Path
) -> None:
    path = write_tiled_picture(tmp_path / f"photograph{suffix}", thumbnail=thumbnail)
    with Image.open(path) if suffix == ".avif" else pillow_heif.open_heif(path).to_pillow() as picture:
        assert picture.size == (128, 128)
    with pytest.raises(MediaError, match=r"a picture in 4 tiles.*heif-convert, avifdec"):
        probe(path)


def test_a_still_picture_before_the_film_is_not_taken_for_it(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        for width in (32, 64):
            video = output.add_stream("mpeg4", rate=25)
            video.width, video.height, video.pix_fmt = width, 32, "yuv420p"
        output.start_encoding()
        for video, frames in zip(output.streams.video, (1, 5), strict=True):
            for at in range(frames):
                image = av.VideoFrame(video.width, 32, "yuv420p")
                image.pts, image.time_base = at, Fraction(1, 25)
                output.mux(video.encode(image))
            output.mux(video.encode(None))
    info = probe(tmp_path / "a.mp4")
    assert (info.track, info.width, len(open_source(info).clip)) == (1, 64, 5)

"""What --crop leaves, and which bars auto finds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest

from plugin_tests.encode.media import picture
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import open_source
from vsdslnet.encode.source.given import given
from vsdslnet.encode.source.look import look_at
from vsdslnet.encode.source.probe import SourceInfo
from vsdslnet.errors import ArgumentError, MediaError


def write(
    path: Path, pictures: list[np.ndarray[Any, Any]], *, pix_fmt: str = "yuv420p", aspect: Fraction = Fraction(1)
) -> Path:
    """A film whose every picture is a key frame."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1" if path.suffix == ".mkv" else "libx264", rate=24)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = pix_fmt
        video.codec_context.sample_aspect_ratio = aspect
        for image in pictures:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            output.mux(video.encode(frame.reformat(format=pix_fmt)))
        output.mux(video.encode(None))
    return path


def letterboxed(frames: int, *, top: int = 14, bottom: int = 10, left: int = 0, noise: int = 0) -> list[Any]:
    """Pictures of 96x64 with black bars."""
    pictures = []
    for number in range(frames):
        image = np.random.default_rng(number).integers(0, noise + 1, (64, 96, 3)).astype(np.uint8)
        image[top : 64 - bottom, left:] = picture(number, width=96 - left, height=64 - top - bottom) // 2 + 90
        pictures.append(image)
    return pictures


def cut(path: Path, crop: str, **settings: Any) -> SourceInfo:
    return look_at(given(path), EncodeSettings(crop=crop, **settings))


def test_bars_that_all_pictures_share_are_found(tmp_path: Path) -> None:
    info = cut(write(tmp_path / "a.mkv", letterboxed(12, noise=4)), "auto")
    assert info.cut == (0, 0, 14, 10)
    assert info.shown_size == (96, 40)
    assert info.left_out == ("black bars (--crop auto found 96:40:0:14)",)


def test_an_odd_bar_is_cut_to_whole_chroma_samples(tmp_path: Path) -> None:
    pictures = letterboxed(12, top=7, bottom=9, left=5)
    assert cut(write(tmp_path / "a.mkv", pictures), "auto").cut == (4, 0, 6, 8)
    assert cut(write(tmp_path / "b.mkv", pictures, pix_fmt="yuv444p"), "auto").cut == (5, 0, 7, 9)


def test_fades_and_night_say_nothing_and_one_wider_picture_says_all(tmp_path: Path) -> None:
    dark = [image // 12 for image in letterboxed(10, top=20, bottom=20)]
    assert cut(write(tmp_path / "a.mkv", dark + letterboxed(12)), "auto").cut == (0, 0, 14, 10)
    wider = letterboxed(12) + letterboxed(1, top=4, bottom=0)
    assert cut(write(tmp_path / "b.mkv", wider), "auto").cut == (0, 0, 4, 0)
    with pytest.raises(MediaError, match=r"10 of 10 frames looked at are dark all over, .*say what to keep"):
        cut(write(tmp_path / "c.mkv", dark), "auto")


def test_a_subtitle_in_the_bar_stays(tmp_path: Path) -> None:
    pictures = letterboxed(12)
    pictures[5][58:60, 30:66] = 220
    assert cut(write(tmp_path / "a.mkv", pictures), "auto").cut == (0, 0, 14, 4)


def test_a_picture_without_bars_stays_whole(tmp_path: Path) -> None:
    info = cut(write(tmp_path / "a.mkv", letterboxed(12, top=0, bottom=0)), "auto")
    assert (info.cut, info.left_out) == ((0, 0, 0, 0), ())


def test_the_part_asked_for_is_that_part(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", letterboxed(3), aspect=Fraction(4, 3))
    info = cut(path, "80:32:10:20")
    whole = open_source(look_at(given(path), EncodeSettings())).clip
    with open_source(info).clip.get_frame(2) as ours, whole.get_frame(2) as full:
        for plane, step in ((0, 1), (1, 2), (2, 2)):
            expected = np.asarray(full[plane])[20 // step : 52 // step, 10 // step : 90 // step]
            assert np.array_equal(np.asarray(ours[plane]), expected)
    assert info.sample_aspect == (4, 3)


@pytest.mark.parametrize(
    ("crop", "says"),
    [
        ("96:40", "auto or W:H:X:Y in pixels"),
        ("96:40:0:-2", "auto or W:H:X:Y"),
        ("Auto", "auto or W:H:X:Y"),
        ("96:64:2:0", "a part of the picture, which is 96x64"),
        ("0:64:0:0", "a part of the picture"),
        ("96:41:0:14", "multiples of 2 for W and X and of 2 for H and Y, .*; 96:42:0:14 cuts off no more"),
        ("90:40:3:14", "; 92:40:2:14 cuts off no more"),
    ],
)
def test_what_is_no_part_is_refused_with_the_nearest_one(crop: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=f"crop='{crop}' is not allowed: .*{says}"):
        cut(write(tmp_path / "a.mkv", letterboxed(2)), crop)


@pytest.mark.parametrize("matrix_in", [None, 9])
def test_colours_are_guessed_from_the_whole_picture(matrix_in: int | None, core: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", [np.full((576, 720, 3), 120, np.uint8)] * 2)
    settings = EncodeSettings(crop="720:432:0:72", matrix_in=matrix_in)
    with open_source(look_at(given(path), settings)).clip.get_frame(0) as frame:
        assert frame.height == 432
        # PAL's primaries (5) are guessed from 576 lines; a matrix that the user knows says its own (9).
        assert (frame.props["_Primaries"], frame.props["_Matrix"]) == ((5, 6) if matrix_in is None else (9, 9))


def test_what_the_container_hides_goes_first(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", letterboxed(3))
    info = look_at(given(path), EncodeSettings())
    both = msgspec.structs.replace(info, crop=(0, 0, 4, 4), cut=(0, 0, 10, 6))
    assert (both.uncut_size, both.shown_size) == ((96, 56), (96, 40))
    with open_source(both).clip.get_frame(0) as frame, open_source(info).clip.get_frame(0) as whole:
        assert np.array_equal(np.asarray(frame[0]), np.asarray(whole[0])[14:54])

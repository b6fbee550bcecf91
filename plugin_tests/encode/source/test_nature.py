"""What no HDR10 file has is named by what FFmpeg says of the stream and its first frames."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type

from vsdslnet.encode.source.nature import hidden_pixels, left_out_by_nature


class Told:
    """A frame that has side data of one kind beside what it is."""

    def __init__(self, frame: av.VideoFrame, kind: Type | None) -> None:
        self.format, self.width, self.height = frame.format, frame.width, frame.height
        self.side_data = {} if kind is None else {kind: b""}


def stream(**side_data: bytes) -> Any:
    return SimpleNamespace(codec_context=SimpleNamespace(coded_side_data=side_data), metadata={})


def frame(name: str, kind: Type | None = None) -> Any:
    black = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
    return Told(black.reformat(format=name), kind)


@pytest.mark.parametrize(
    ("name", "kind", "side_data", "says"),
    [
        ("yuva420p", None, {}, ["alpha"]),
        ("rgba", None, {}, ["alpha"]),
        ("yuv420p", Type.A53_CC, {}, ["closed captions"]),
        ("yuv420p", Type.SPHERICAL, {}, ["360-degree"]),
        ("yuv420p", None, {"spherical": b""}, ["360-degree"]),
        ("yuv420p", Type.STEREO3D, {}, ["stereoscopic 3D"]),
        ("yuv420p", None, {}, []),
    ],
)
def test_what_no_hdr10_file_has_is_named(
    name: str, kind: Type | None, side_data: dict[str, bytes], says: list[str]
) -> None:
    found = left_out_by_nature(stream(**side_data), [frame(name, kind)])
    assert len(found) == len(says)
    assert all(words in line for words, line in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("name", "told", "hidden"),
    [
        ("yuv420p", (6, 4, 2, 8), (2, 8, 6, 4)),
        ("yuv420p", (7, 5, 3, 9), (2, 8, 6, 4)),  # down to whole chroma samples
        ("yuv444p", (7, 5, 3, 9), (3, 9, 7, 5)),
        ("gray", (7, 5, 3, 9), (3, 9, 7, 5)),
        ("yuv420p", (24, 24, 0, 0), (0, 0, 0, 0)),  # nothing would be left
    ],
)
def test_hidden_pixels_are_whole_chroma_samples(name: str, told: tuple[int, ...], hidden: tuple[int, ...]) -> None:
    data = np.array(told, np.uint32).tobytes()
    assert hidden_pixels(stream(frame_cropping=data), frame(name)) == hidden

"""HEVC chunks: order and patching agree with the encoder and with a decoder."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin_tests.encode.media import picture
from vsdslnet.encode.bitstream import hevc
from vsdslnet.errors import MediaError
from vsdslnet.hdr10 import ContentLight


def encode(frames: int, parameters: str) -> tuple[bytes, list[int]]:
    """A stream, and the presentation order of its packets as the encoder tells it."""
    context = av.VideoCodecContext.create("libx265", "w")
    context.width, context.height, context.pix_fmt = 64, 64, "yuv420p10le"
    context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
    fixed = "log-level=none:repeat-headers=1:info=0:open-gop=0:hdr10=1:max-cll=1000,400"
    context.options = {"preset": "ultrafast", "x265-params": f"{fixed}:{parameters}"}
    stream, order = b"", []
    for number in range(frames + 1):
        frame = None
        if number < frames:
            image = picture(number, width=64, height=64)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p10le")
            frame.pts, frame.time_base = number, context.time_base
        for packet in context.encode(frame):
            stream += bytes(packet)
            order.append(packet.pts)
    return stream, order


@pytest.mark.parametrize(
    ("frames", "parameters"),
    [
        (1, "bframes=4"),
        (2, "bframes=4"),
        (50, "bframes=0:keyint=300"),
        (50, "bframes=8:b-pyramid=1:b-adapt=0:keyint=300:rc-lookahead=20"),
        (50, "bframes=3:b-adapt=0:keyint=9:min-keyint=9"),
        (50, "bframes=3:b-adapt=0:keyint=300:aud=1"),
        (50, "bframes=3:b-adapt=0:keyint=300:slices=2"),
        (50, "bframes=3:b-adapt=0:keyint=300:temporal-layers=3"),
        (300, "bframes=4:b-adapt=0:keyint=1000"),
    ],
)
def test_pictures_are_ordered_as_the_encoder_ordered_them(frames: int, parameters: str) -> None:
    stream, order = encode(frames, parameters)
    units = hevc.access_units(stream)
    assert [unit.order for unit in units] == order
    assert units[0].is_keyframe


def test_annex_b_of_all_pictures_is_the_stream_again() -> None:
    stream, _ = encode(10, "bframes=2")
    joined = b"".join(unit.annex_b() for unit in hevc.access_units(stream))
    assert list(hevc.split_nals(joined)) == list(hevc.split_nals(stream))


@pytest.mark.parametrize("light", [(1, 1), (1, 256), (65_535, 3), (768, 1), (777, 333), (256, 512)])
def test_a_decoder_reads_the_patched_light_at_every_keyframe(light: tuple[int, int]) -> None:
    stream, _ = encode(20, "bframes=2:keyint=8:min-keyint=8:scenecut=0")
    payload = ContentLight(max_cll_nits=light[0], max_fall_nits=light[1]).payload()
    units = hevc.access_units(stream)
    patched = [hevc.patch_content_light(unit.nals, payload) for unit in units]
    assert [count for _, count in patched] == [int(unit.is_keyframe) for unit in units]
    joined = b"".join(b"\0\0\0\1" + nal for nals, _ in patched for nal in nals)
    with (
        av.open(io.BytesIO(joined), format="hevc") as container,
        av.open(io.BytesIO(stream), format="hevc") as original,
    ):
        frames, untouched = list(container.decode(video=0)), list(original.decode(video=0))
    read = [tuple(np.frombuffer(bytes(frame.side_data["CONTENT_LIGHT_LEVEL"]), np.uint32)) for frame in frames]
    assert set(read) == {light}
    assert [f.to_ndarray().tobytes() for f in frames] == [f.to_ndarray().tobytes() for f in untouched]


@given(st.binary(max_size=40).map(lambda data: data.replace(b"\x09", b"\0")))
def test_escaping_is_undone_by_unescaping_and_holds_no_start_code(data: bytes) -> None:
    raw = b"\x4e\x01" + data + b"\x80"
    escaped = hevc._escape(raw)
    assert hevc._unescape(escaped) == raw
    assert not any(escaped[at : at + 3] <= b"\0\0\2" for at in range(len(escaped) - 2))


@pytest.mark.parametrize("damage", [b"", b"\0\0\1", b"garbage", b"\0\0\1\x26\x01\xff\xff"])
def test_what_is_no_stream_is_refused(damage: bytes) -> None:
    with pytest.raises(MediaError, match="damaged"):
        hevc.access_units(damage)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_damaged_stream_is_refused_or_read_but_never_crashes(at: int, byte: int) -> None:
    stream = bytearray(_STREAM)
    stream[at % len(stream)] = byte
    try:
        units = hevc.access_units(bytes(stream))
    except MediaError:
        return
    assert sorted(unit.order for unit in units) == list(range(len(units)))


_STREAM, _ = encode(6, "bframes=2")

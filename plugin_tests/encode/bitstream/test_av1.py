"""AV1 chunks: units and patching agree with the encoder and with a decoder."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from plugin_tests.encode.media import picture
from vsdslnet.encode.bitstream import av1
from vsdslnet.encode.chunk.scheduling import ordinary_scheduling
from vsdslnet.errors import MediaError


@pytest.fixture(scope="module")
def stream() -> tuple[bytes, int]:
    """A stream and its number of packets."""
    context = av.VideoCodecContext.create("libsvtav1", "w")
    context.width, context.height, context.pix_fmt = 64, 64, "yuv420p10le"
    context.framerate, context.time_base, context.gop_size = Fraction(25), Fraction(1, 25), 8
    context.options = {"preset": "12", "svtav1-params": "content-light=1000,400"}
    with ordinary_scheduling():
        context.open()
    packets = []
    for number in range(21):
        frame = None
        if number < 20:
            image = picture(number, width=64, height=64)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p10le")
            frame.pts, frame.time_base = number, context.time_base
        packets += [bytes(packet) for packet in context.encode(frame)]
    return b"".join(packets), len(packets)


def test_there_is_a_temporal_unit_for_every_packet(stream: tuple[bytes, int]) -> None:
    units = av1.temporal_units(stream[0])
    assert len(units) == stream[1] == 20
    assert av1.is_keyframe(units[0])
    assert not av1.is_keyframe(units[1])


def test_a_decoder_reads_the_patched_light(stream: tuple[bytes, int]) -> None:
    patched = [av1.patch_content_light(unit, bytes.fromhex("02bc00fa")) for unit in av1.temporal_units(stream[0])]
    assert sum(count for _, count in patched) >= 1
    joined = b"".join(b"\x12\x00" + unit for unit, _ in patched)
    with av.open(io.BytesIO(joined), format="obu") as container:
        frames = list(container.decode(video=0))
    read = np.frombuffer(bytes(frames[0].side_data["CONTENT_LIGHT_LEVEL"]), np.uint32)
    assert len(frames) == 20
    assert tuple(read) == (700, 250)


@pytest.mark.parametrize("damage", [b"\x80", b"\x32\xff", b"\x30", b"\x32\x01\x00"])
def test_what_is_no_stream_is_refused(damage: bytes) -> None:
    with pytest.raises(MediaError, match="damaged"):
        av1.temporal_units(damage)


def test_a_cut_stream_is_refused(stream: tuple[bytes, int]) -> None:
    with pytest.raises(MediaError, match="damaged"):
        av1.temporal_units(stream[0][:-1])

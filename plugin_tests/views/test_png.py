"""PNG files as other readers see them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import torch

from vsdslnet.errors import ArgumentError
from vsdslnet.views import picture_png, pq_png


def chunks(data: bytes) -> dict[bytes, bytes]:
    found, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + body)
        found[name] = body
        at += 12 + length
    return found


def test_pq_png_reads_back_bit_exact_in_16_bit() -> None:
    cv2 = pytest.importorskip("cv2")
    pq = torch.rand((3, 17, 23), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = np.frombuffer(pq_png(pq), np.uint8)
    back = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_array_equal(back, (pq * 65535).round().movedim(0, -1).numpy().astype(np.uint16))


def test_pq_png_says_bt2020_pq_full_range_before_its_pixels() -> None:
    found = chunks(pq_png(torch.zeros(3, 2, 2), max_nits=812.5, average_nits=90))
    assert found[b"cICP"] == bytes([9, 16, 0, 1])
    assert struct.unpack(">II", found[b"cLLI"]) == (8_125_000, 900_000)
    assert list(found).index(b"cICP") < list(found).index(b"IDAT")
    assert b"cLLI" not in chunks(pq_png(torch.zeros(3, 2, 2)))


def test_picture_png_reads_back_in_pillow() -> None:
    image = pytest.importorskip("PIL.Image")
    picture = np.random.default_rng(0).integers(0, 256, (9, 13, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(image.open(io.BytesIO(picture_png(picture)))), picture)


def test_pictures_of_another_shape_or_depth_are_refused() -> None:
    with pytest.raises(ArgumentError, match="height, width, 3"):
        picture_png(np.zeros((4, 4), np.uint8))
    with pytest.raises(ArgumentError, match="uint8"):
        picture_png(np.zeros((4, 4, 3)))  # type: ignore[arg-type]

"""Gain-map photographs: files the test writes itself in both metadata formats, and real ones where there are any."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from vsdslnet.errors import MediaError
from vsdslnet.training.material.gainmap import parse_iso21496, parse_xmp, read_gainmap_photo

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description hdrgm:Version="1.0" hdrgm:GainMapMin="0.25" '
    'hdrgm:GainMapMax="2.25" hdrgm:Gamma="0.8" hdrgm:OffsetSDR="0.015625" hdrgm:OffsetHDR="0.0078125" '
    'hdrgm:HDRCapacityMin="0" hdrgm:HDRCapacityMax="2.25" hdrgm:BaseRenditionIsHDR="False"/></rdf:RDF></x:xmpmeta>'
)


def iso_body(*, channels: int = 1, common: bool = False, headrooms: tuple[float, float] = (0.0, 2.25)) -> bytes:
    flags = (0x80 if channels == 3 else 0) | (0x08 if common else 0)
    body = struct.pack(">HHB", 0, 0, flags)
    numbers = [("I", headrooms[0]), ("I", headrooms[1])]
    for c in range(channels):
        numbers += [("i", 0.25 - 0.5 * c), ("i", 2.25), ("I", 0.8), ("i", 1 / 64), ("i", 1 / 128)]
    denominator = 1280
    if common:
        body += struct.pack(">I", denominator)
    for kind, value in numbers:
        body += struct.pack(">" + kind, round(value * denominator))
        if not common:
            body += struct.pack(">I", denominator)
    return body


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def write_photo(path: Path, *, metadata: bytes, with_index: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """A 64x48 gain-map JPEG with smooth content; returns its SDR codes and its gain codes as decoded."""
    v, u = np.mgrid[:48, :64]
    base = np.stack([2 * u + 60, 3 * v + 40, 200 - u - v], axis=-1).astype(np.uint8)
    gain = np.clip(20 + 5 * v[::2, ::2], 0, 255).astype(np.uint8)
    streams = []
    for picture in (base, gain):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=98)
        streams.append(buffer.getvalue())
    second = streams[1][:2] + metadata + streams[1][2:]
    index_size = 8 + 2 + 12 * 3 + 4 + 32
    first = streams[0]
    if with_index:
        before = 2 + 4 + 4
        length = len(first) + 4 + 4 + index_size
        tiff = b"MM\0\x2a" + struct.pack(">I", 8) + struct.pack(">H", 3)
        tiff += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
        tiff += struct.pack(">HHII", 0xB001, 4, 1, 2)
        tiff += struct.pack(">HHII", 0xB002, 7, 32, 50) + struct.pack(">I", 0)
        tiff += struct.pack(">IIIHH", 0x030000, length, 0, 0, 0)
        tiff += struct.pack(">IIIHH", 0, len(second), length - before, 0, 0)
        first = first[:2] + _segment(0xE2, b"MPF\0" + tiff) + first[2:]
        assert len(first) == length
    path.write_bytes(first + second)
    decoded = [np.asarray(Image.open(io.BytesIO(stream))) for stream in streams]
    return decoded[0], decoded[1]


XMP_SEGMENT = _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP.encode())
ISO_SEGMENT = _segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + iso_body())


@pytest.mark.parametrize("metadata", [XMP_SEGMENT, ISO_SEGMENT], ids=["xmp", "iso"])
def test_a_photo_is_rebuilt_by_the_standards_formula(tmp_path: Path, metadata: bytes) -> None:
    base, gain = write_photo(tmp_path / "photo.jpg", metadata=metadata)
    photo = read_gainmap_photo(tmp_path / "photo.jpg")
    code = base / 255
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    large = cv2.resize((gain / 255).astype(np.float32), (64, 48), interpolation=cv2.INTER_LINEAR)
    stops = 0.25 + 2.0 * large[..., None] ** (1 / 0.8)
    expected = (linear + 1 / 64) * 2**stops - 1 / 128
    np.testing.assert_allclose(photo.hdr, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(photo.sdr.astype(int) - base).max() <= 1
    assert photo.gainmap.capacity_max == pytest.approx(2.25)


@pytest.mark.parametrize("common", [False, True])
def test_three_channels_and_a_common_denominator_are_read(common: bool) -> None:
    meta = parse_iso21496(iso_body(channels=3, common=common))
    assert meta.minimum == pytest.approx((0.25, -0.25, -0.75))
    assert meta.gamma == pytest.approx((0.8, 0.8, 0.8))
    assert meta.offset_hdr == pytest.approx((1 / 128,) * 3)


def test_per_channel_xmp_lists_are_read() -> None:
    items = "".join(f"<rdf:li>{value}</rdf:li>" for value in (1.5, 2.5, 3.5))
    meta = parse_xmp(f"<hdrgm:GainMapMax><rdf:Seq>{items}</rdf:Seq></hdrgm:GainMapMax>")
    assert meta.maximum == (1.5, 2.5, 3.5)
    assert meta.capacity_max == 3.5
    assert meta.offset_sdr == (1 / 64,) * 3


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "GainMapMax is missing"), ('hdrgm:GainMapMax="x"', "not a number")],
)
def test_unusable_xmp_is_refused(text: str, says: str) -> None:
    with pytest.raises(MediaError, match=says):
        parse_xmp(text)


def test_unusable_binary_metadata_are_refused() -> None:
    for body in (
        b"",
        iso_body()[:20],
        struct.pack(">HHB", 7, 7, 0) + bytes(80),
        struct.pack(">HHB", 0, 0, 0) + bytes(80),
    ):
        with pytest.raises(MediaError):
            parse_iso21496(body)
    with pytest.raises(MediaError, match="base picture is HDR"):
        parse_iso21496(iso_body(headrooms=(2.0, 0.0)))


def test_files_without_a_gain_map_are_refused(tmp_path: Path) -> None:
    write_photo(tmp_path / "plain.jpg", metadata=XMP_SEGMENT, with_index=False)
    with pytest.raises(MediaError, match="no gain map"):
        read_gainmap_photo(tmp_path / "plain.jpg")


def test_a_damaged_file_ends_in_one_error(tmp_path: Path) -> None:
    write_photo(tmp_path / "photo.jpg", metadata=ISO_SEGMENT)
    data = (tmp_path / "photo.jpg").read_bytes()
    rng = np.random.default_rng(0)
    for trial in range(60):
        broken = bytearray(data[: int(rng.integers(1, len(data)))] if trial % 2 else data)
        for _ in range(3):
            broken[int(rng.integers(min(len(broken), 400)))] = int(rng.integers(256))
        (tmp_path / "broken.jpg").write_bytes(bytes(broken))
        try:
            photo = read_gainmap_photo(tmp_path / "broken.jpg")
        except MediaError:
            continue
        assert photo.hdr.shape == photo.sdr.shape


@pytest.mark.parametrize(
    ("original", "pair"),
    [("mishaal_01", "pixel_01"), ("android_desert_sunset", "android_desert_sunset")],
)
def test_a_real_photo_agrees_with_its_published_pair(original: str, pair: str) -> None:
    from vsdslnet.training.material.scenes import Scene, load_photograph

    root = Path(os.environ.get("VSDSLNET_DATA", ""))
    path = root / "originals" / f"{original}.jpg"
    if not os.environ.get("VSDSLNET_DATA") or not path.is_file():
        pytest.skip("needs the real photographs: set VSDSLNET_DATA to their folder")
    ours = load_photograph(Scene(id=original, kind="original", path=path)).levels[0]
    theirs = load_photograph(Scene(id=pair, kind="pair", path=root / "pairs" / pair)).levels[0]
    size = (320, 240)
    a, b = (cv2.resize(p[..., 3:].copy(), size, interpolation=cv2.INTER_AREA) for p in (ours, theirs))
    assert np.median(np.abs(a - b)) < 0.002
    a, b = (cv2.resize(p[..., :3].copy(), size, interpolation=cv2.INTER_AREA) for p in (ours, theirs))
    assert np.median(np.abs(a - b)) < 0.004

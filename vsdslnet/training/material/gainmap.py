"""Gain-map photographs: Ultra HDR v1 (XMP ``hdrgm``) and ISO 21496-1 (binary), read into HDR light.

The gain map is the second image of the file's MPF index; its metadata stand in that image's own
APP1 (XMP) or APP2 (ISO) segments. Both describe, for each channel (ISO 21496-1 clause 5.2):
``HDR = (SDR + offset_sdr) * 2^(min + (max - min) * g^(1/gamma)) - offset_hdr`` at full weight.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageCms

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import rgb_to_rgb
from vsdslnet.errors import MediaError
from vsdslnet.stills.files import profile_primaries

__all__ = ["GainMap", "GainMapPhoto", "parse_iso21496", "parse_xmp", "read_gainmap_photo"]

Floats = NDArray[np.float32]
Triple = tuple[float, float, float]

_MOST_STOPS = 32.0
_ISO_NAMESPACE = b"urn:iso:std:iso:ts:21496:-1\0"
_XMP_NAMESPACE = b"http://ns.adobe.com/xap/1.0/\0"


class GainMap(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata of one gain map; log2 values a channel, offsets relative to SDR white."""

    minimum: Triple
    maximum: Triple
    gamma: Triple
    offset_sdr: Triple
    offset_hdr: Triple
    capacity_max: float
    """log2 of the headroom at which the map applies in full."""


class GainMapPhoto(msgspec.Struct, frozen=True, kw_only=True):
    """SDR signal and HDR light of one photograph, both BT.709 primaries; HDR may be negative outside them."""

    sdr: NDArray[np.uint8]
    """sRGB-coded (height, width, 3), converted from the file's primaries and clipped."""
    hdr: Floats
    """Linear, relative to SDR white (height, width, 3)."""
    gainmap: GainMap


def read_gainmap_photo(path: Path, *, shrink: int = 1) -> GainMapPhoto:
    """Read a gain-map JPEG; ``shrink`` averages that many pixels a side, in light.

    Raises MediaError when there is no gain map or it can't be understood.
    """
    data = path.read_bytes()
    base, second = _images_of(data, path.name)
    meta = _checked(_metadata_of(second, path.name), path.name)
    try:
        with Pictures.open(io.BytesIO(base)) as picture:
            primaries = profile_primaries(picture.info.get("icc_profile"))
            code = np.asarray(picture.convert("RGB"))
        with Pictures.open(io.BytesIO(second)) as picture:
            mode = "L" if picture.mode == "L" else "RGB"
            gain = np.atleast_3d(np.asarray(picture.convert(mode))).astype(np.float32) / 255
    except (OSError, ValueError, SyntaxError, ImageCms.PyCMSError) as error:
        raise MediaError(f"{path.name}: one of its two pictures can't be decoded ({error})") from error
    height, width = code.shape[:2]
    table = _srgb_table()
    to_709 = rgb_to_rgb(primaries, Primaries.BT709).numpy().astype(np.float32)
    linear = table[code]
    if shrink > 1:
        width, height = width // shrink, height // shrink
        linear = cv2.resize(linear, (width, height), interpolation=cv2.INTER_AREA)
    gain = np.atleast_3d(cv2.resize(gain, (width, height), interpolation=cv2.INTER_LINEAR))
    hdr = np.empty_like(linear)
    for c in range(3):
        g = np.power(gain[..., min(c, gain.shape[2] - 1)], 1 / meta.gamma[c])
        stops = meta.minimum[c] + (meta.maximum[c] - meta.minimum[c]) * g
        hdr[..., c] = (linear[..., c] + meta.offset_sdr[c]) * np.exp2(stops) - meta.offset_hdr[c]
    sdr = np.clip(linear @ to_709.T, 0, 1)
    signal = np.where(sdr <= 0.0031308, sdr * 12.92, 1.055 * np.power(np.maximum(sdr, 1e-6), 1 / 2.4) - 0.055)
    return GainMapPhoto(
        sdr=np.rint(255 * signal).astype(np.uint8), hdr=(hdr @ to_709.T).astype(np.float32), gainmap=meta
    )


def _checked(meta: GainMap, name: str) -> GainMap:
    numbers = [*meta.minimum, *meta.maximum, *meta.offset_sdr, *meta.offset_hdr]
    if not (all(abs(number) <= _MOST_STOPS for number in numbers) and all(g > 0 for g in meta.gamma)):
        raise MediaError(f"{name}: its gain map's metadata are out of range ({meta})")
    return meta


def _srgb_table() -> Floats:
    code = np.arange(256) / 255
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The marker segments of a JPEG before its first scan: marker, offset of the payload, payload."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in (0xDA, 0xD9):
            return
        (length,) = struct.unpack_from(">H", data, position + 2)
        yield marker, position + 4, data[position + 4 : position + 2 + length]
        position += 2 + length


def _images_of(data: bytes, name: str) -> tuple[bytes, bytes]:
    """The primary image and the gain map, by the MPF index (CIPA DC-007 clause 5.2)."""
    for marker, offset, payload in _segments(data):
        if marker != 0xE2 or not payload.startswith(b"MPF\0"):
            continue
        tiff = payload[4:]
        order = "<" if tiff[:2] == b"II" else ">"
        try:
            (ifd,) = struct.unpack_from(order + "I", tiff, 4)
            (count,) = struct.unpack_from(order + "H", tiff, ifd)
            for entry in range(count):
                tag, _, size, value = struct.unpack_from(order + "HHII", tiff, ifd + 2 + 12 * entry)
                if tag != 0xB002:
                    continue
                for image in range(1, size // 16):
                    _, length, start = struct.unpack_from(order + "III", tiff, value + 16 * image)
                    # Offsets count from the TIFF header inside the MPF segment.
                    begin = offset + 4 + start
                    second = data[begin : begin + length]
                    if second[:2] == b"\xff\xd8" and _has_metadata(second):
                        return data[:begin], second
        except struct.error as error:
            raise MediaError(f"{name}: its MPF index is damaged ({error})") from error
    raise MediaError(f"{name} holds no gain map (no MPF image with hdrgm or ISO 21496-1 metadata)")


def _has_metadata(data: bytes) -> bool:
    return any(
        (marker == 0xE2 and payload.startswith(_ISO_NAMESPACE) and len(payload) > len(_ISO_NAMESPACE) + 4)
        or (marker == 0xE1 and b"hdrgm:GainMapMax" in payload)
        for marker, _, payload in _segments(data)
    )


def _metadata_of(data: bytes, name: str) -> GainMap:
    xmp = None
    for marker, _, payload in _segments(data):
        if marker == 0xE2 and payload.startswith(_ISO_NAMESPACE):
            body = payload[len(_ISO_NAMESPACE) :]
            if len(body) > 4:
                return parse_iso21496(body, name=name)
        if marker == 0xE1 and payload.startswith(_XMP_NAMESPACE) and b"hdrgm:" in payload:
            xmp = payload[len(_XMP_NAMESPACE) :]
    if xmp is None:
        raise MediaError(f"{name}: its gain map has no metadata")
    return parse_xmp(xmp.decode("utf-8", "replace"), name=name)


def parse_xmp(text: str, *, name: str = "XMP") -> GainMap:
    """Ultra HDR v1 metadata (Android's Ultra HDR image format v1.0, table 'hdrgm'); MediaError if incomplete."""

    def values(key: str, default: float | None) -> Triple:
        attribute = re.search(rf'hdrgm:{key}\s*=\s*"([^"]*)"', text)
        element = re.search(rf"<hdrgm:{key}>(.*?)</hdrgm:{key}>", text, re.S)
        if attribute:
            found = [attribute[1]]
        elif element:
            found = re.findall(r"<rdf:li>\s*([^<\s]+)\s*</rdf:li>", element[1]) or [element[1].strip()]
        elif default is not None:
            found = [str(default)]
        else:
            raise MediaError(f"{name}: hdrgm:{key} is missing from its gain map's metadata")
        try:
            numbers = [float(value) for value in found]
        except ValueError as error:
            raise MediaError(f"{name}: hdrgm:{key} is not a number ({error})") from error
        return (numbers[0], numbers[0], numbers[0]) if len(numbers) < 3 else (numbers[0], numbers[1], numbers[2])

    if re.search(r'hdrgm:BaseRenditionIsHDR\s*=\s*"True"', text):
        raise MediaError(f"{name}: its base picture is HDR; only SDR base pictures are read")
    maximum = values("GainMapMax", None)
    return GainMap(
        minimum=values("GainMapMin", 0.0),
        maximum=maximum,
        gamma=values("Gamma", 1.0),
        offset_sdr=values("OffsetSDR", 1 / 64),
        offset_hdr=values("OffsetHDR", 1 / 64),
        capacity_max=values("HDRCapacityMax", max(maximum))[0],
    )


def parse_iso21496(body: bytes, *, name: str = "ISO 21496-1") -> GainMap:
    """Binary metadata (ISO 21496-1 annex C.2): versions, flags, then fractions, one channel or three."""
    try:
        minimum_version, _, flags = struct.unpack_from(">HHB", body)
        if minimum_version != 0:
            raise MediaError(f"{name}: gain-map metadata of version {minimum_version} are not understood")
        channels = 3 if flags & 0x80 else 1
        common = bool(flags & 0x08)
        numbers, position = [], 5
        if common:
            (denominator,) = struct.unpack_from(">I", body, position)
            position += 4
        # Per channel: min, max, gamma, base offset, alternate offset; min, max and offsets are signed.
        layout = "II" + "iiIii" * channels
        for kind in layout:
            if common:
                (numerator,) = struct.unpack_from(">" + kind, body, position)
                position += 4
            else:
                numerator, denominator = struct.unpack_from(f">{kind}I", body, position)
                position += 8
            numbers.append(numerator / denominator)
    except (struct.error, ZeroDivisionError) as error:
        raise MediaError(f"{name}: its gain-map metadata are damaged ({error})") from error
    base_headroom, capacity = numbers[:2]
    if base_headroom > capacity:
        raise MediaError(f"{name}: its base picture is HDR; only SDR base pictures are read")
    rows = [numbers[2 + 5 * min(c, channels - 1) :][:5] for c in range(3)]
    columns: list[Triple] = [(rows[0][k], rows[1][k], rows[2][k]) for k in range(5)]
    return GainMap(
        minimum=columns[0],
        maximum=columns[1],
        gamma=columns[2],
        offset_sdr=columns[3],
        offset_hdr=columns[4],
        capacity_max=capacity,
    )

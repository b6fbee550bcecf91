"""Dolby Vision files, made on the spot: the record of a container, and the metadata (RPU) of a picture."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import av

from plugin_tests.encode.media import picture

# Boxes on the way to HEVC's sample entry, each with the bytes of its own before its children.
_SAMPLE_ENTRY = (
    (b"moov", 0), (b"trak", 0), (b"mdia", 0), (b"minf", 0), (b"stbl", 0), (b"stsd", 8), (b"hev1", 78)
)  # fmt: skip
_RPU_NAL = 62  # unspecified by H.265, and Dolby's


def with_record(path: Path, *, profile: int, compatibility: int) -> None:
    """Give the MP4 of an HEVC stream a DOVIDecoderConfigurationRecord (Dolby Vision in ISOBMFF, 3.2)."""
    has_enhancement_layer = profile == 7
    flags = profile << 9 | 6 << 3 | 1 << 2 | has_enhancement_layer << 1 | 1
    record = struct.pack(">BBHB19x", 1, 0, flags, compatibility << 4)
    kind = b"dvcC" if profile <= 7 else b"dvvC"
    path.write_bytes(_appended(path.read_bytes(), _SAMPLE_ENTRY, struct.pack(">I4s", 8 + len(record), kind) + record))


def make_stream_with_rpus(path: Path, *, frames: int = 4) -> Path:
    """A bare HEVC stream with Dolby Vision's metadata in each picture, as profile 5 has it: without colour tags."""
    nal = b"\0\0\0\1" + bytes([_RPU_NAL << 1, 1]) + _escaped(b"\x19" + _rpu())
    with av.open(str(path), "w", format="hevc") as output, path.open("ab") as file:
        video = output.add_stream("libx265", rate=24)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p10le"
        video.options = {"x265-params": "log-level=none:bframes=0", "preset": "ultrafast"}
        for number in range(frames + 1):
            rgb = picture(number, width=96, height=64)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p10le")
            for packet in video.encode(frame if number < frames else None):
                file.write(bytes(packet) + nal)
    return path


def _appended(data: bytes, path: tuple[tuple[bytes, int], ...], box: bytes) -> bytes:
    """A box behind the children of the box at ``path``; mdat lies before moov, so no offset changes."""
    (name, own_bytes), *rest = path
    out, at = b"", 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + size]
        if kind == name:
            inner = body[own_bytes:]
            body = body[:own_bytes] + (_appended(inner, tuple(rest), box) if rest else inner + box)
        out += struct.pack(">I4s", 8 + len(body), kind) + body
        at += size
    return out


def _rpu() -> bytes:
    """ETSI GS CCM 001, clause 5: 10-bit base layer, full range, curves that change nothing, no display management."""
    depth, one_piece = _ue(2), _ue(0) + f"{0:010b}" + f"{1023:010b}"
    header = f"{2:06b}{18:011b}{0:04b}{0:04b}" + "1" + "0" + "00" + _ue(23) + "01" + "1"
    header += depth + depth + _ue(4) + "0" + "000" + "0" + "1"  # no enhancement layer's residual
    identity = _ue(0) + _ue(0) + "0" + _se(0) + "0" * 23 + _se(1) + "0" * 23
    bits = header + "00" + _ue(0) * 3 + one_piece * 3 + _ue(0) * 2 + identity * 3
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    return data + _crc32_mpeg2(data).to_bytes(4, "big") + b"\x80"


def _ue(value: int) -> str:
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def _se(value: int) -> str:
    return _ue(2 * value - 1 if value > 0 else -2 * value)


def _crc32_mpeg2(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc


def _escaped(payload: bytes) -> bytes:
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)

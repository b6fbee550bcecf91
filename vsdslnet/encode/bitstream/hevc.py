"""Just enough of an HEVC elementary stream (Rec. ITU-T H.265 V10) to join, order and label chunks.

NAL units, access units, picture order counts, and the content light level SEI that is patched once the
whole programme has been measured.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from vsdslnet.errors import MediaError

__all__ = ["T35_SEI", "AccessUnit", "access_units", "insert_sei", "patch_content_light"]

# Table 7-1.
_FIRST_IRAP, _LAST_IRAP, _LAST_VCL = 16, 23, 31
_IDR = (19, 20)
_VPS, _SPS, _PPS, _AUD, _PREFIX_SEI = 32, 33, 34, 35, 39
_PARAMETER_SETS = (_VPS, _SPS, _PPS)
# NAL units that can only stand before the first slice of a picture (7.4.2.4.4).
_OPENS_PICTURE = {_VPS, _SPS, _PPS, _AUD, _PREFIX_SEI, *range(41, 45), *range(48, 56)}
_CONTENT_LIGHT_SEI = 144
T35_SEI = 4
"""payloadType of user_data_registered_itu_t_t35 (D.2.1)."""
_START_CODE = re.compile(rb"\x00\x00\x01")


@dataclass(frozen=True, kw_only=True)
class AccessUnit:
    """One coded picture: its NAL units without start codes, in decoding order.

    ``order`` is its place in the chunk's output order, counted from 0.
    """

    nals: tuple[bytes, ...]
    order: int
    is_keyframe: bool

    def parameter_sets(self) -> tuple[bytes, ...]:
        """VPS, SPS and PPS found in it."""
        return tuple(nal for nal in self.nals if nal_type(nal) in _PARAMETER_SETS)

    def annex_b(self) -> bytes:
        """With start codes."""
        return b"".join(b"\0\0\0\1" + nal for nal in self.nals)

    def length_prefixed(self) -> bytes:
        """As MP4 and Matroska store it: four-byte lengths; parameter sets are in the header, so not here."""
        kept = (nal for nal in self.nals if nal_type(nal) not in _PARAMETER_SETS)
        return b"".join(struct.pack(">I", len(nal)) + nal for nal in kept)


def nal_type(nal: bytes) -> int:
    """nal_unit_type, 7.3.1.2."""
    return (nal[0] >> 1) & 0x3F


def access_units(stream: bytes) -> list[AccessUnit]:
    """Split a chunk (Annex B, one closed GOP or more, IDR first) into pictures with their output order.

    MediaError if it is not such a stream.
    """
    pictures = [list(nals) for nals in _pictures(stream)]
    if not pictures:
        raise MediaError("a chunk holds no pictures: the encoder's output is damaged")
    order_counts = list(_order_counts(pictures))
    rank = {count: place for place, count in enumerate(sorted(order_counts))}
    if len(rank) != len(pictures):
        raise MediaError("two pictures of a chunk claim the same place: the encoder's output is damaged")
    return [
        AccessUnit(nals=tuple(nals), order=rank[count], is_keyframe=_is_irap(_slice(nals)))
        for nals, count in zip(pictures, order_counts, strict=True)
    ]


def patch_content_light(nals: tuple[bytes, ...], payload: bytes) -> tuple[tuple[bytes, ...], int]:
    """The NAL units with every content light level SEI carrying ``payload``, and how many there were."""
    patched, count = [], 0
    for nal in nals:
        if nal_type(nal) != _PREFIX_SEI:
            patched.append(nal)
            continue
        raw = bytearray(_unescape(nal))
        for kind, start, size in _sei_messages(raw):
            if kind == _CONTENT_LIGHT_SEI and size == len(payload):
                raw[start : start + size] = payload
                count += 1
        patched.append(_escape(bytes(raw)))
    return tuple(patched), count


def insert_sei(nals: tuple[bytes, ...], kind: int, payload: bytes) -> tuple[bytes, ...]:
    """The picture's NAL units with an SEI message of this type before its first slice (7.3.5, 7.4.2.4.4)."""
    place = next(place for place, nal in enumerate(nals) if nal_type(nal) <= _LAST_VCL)
    header = bytes([_PREFIX_SEI << 1, nals[place][1]])  # of the slice's layer and TemporalId
    message = _sei_number_bytes(kind) + _sei_number_bytes(len(payload)) + payload
    sei = _escape(header + message + b"\x80")
    return (*nals[:place], sei, *nals[place:])


def split_nals(stream: bytes) -> Iterator[bytes]:
    """NAL units of a byte stream (Annex B), without start codes and trailing zeros."""
    starts = [match.end() for match in _START_CODE.finditer(stream)]
    for start, following in pairwise([*starts, len(stream) + 3]):
        nal = stream[start : following - 3].rstrip(b"\0")
        if len(nal) >= 2:
            yield nal


def _pictures(stream: bytes) -> Iterator[list[bytes]]:
    """Groups of NAL units, one a coded picture (7.4.2.4.4)."""
    current: list[bytes] = []
    has_slice = False
    for nal in split_nals(stream):
        kind = nal_type(nal)
        is_slice = kind <= _LAST_VCL
        first_slice = is_slice and len(nal) > 2 and bool(nal[2] & 0x80)
        if has_slice and (first_slice or kind in _OPENS_PICTURE):
            yield current
            current, has_slice = [], False
        current.append(nal)
        has_slice = has_slice or is_slice
    if has_slice:
        yield current


def _order_counts(pictures: list[list[bytes]]) -> Iterator[int]:
    """A number that rises in output order over the whole chunk (8.3.1; each IDR starts a new count)."""
    lsb_bits: int | None = None
    base = previous = highest = 0
    for nals in pictures:
        for nal in nals:
            if nal_type(nal) == _SPS:
                lsb_bits = _poc_lsb_bits(nal)
        if lsb_bits is None:
            raise MediaError("a chunk starts without parameter sets: the encoder's output is damaged")
        nal = _slice(nals)
        if nal_type(nal) in _IDR:
            base = highest + 1
            count = previous = 0
        else:
            count = _poc(nal, lsb_bits, previous)
            if nal[1] & 7 == 1 and nal_type(nal) not in (*range(0, 16, 2), *range(6, 10)):
                previous = count  # TemporalId 0, and neither sub-layer non-reference nor RASL/RADL
        highest = max(highest, base + count)
        yield base + count


def _poc(nal: bytes, lsb_bits: int, previous: int) -> int:
    """Picture order count of a slice that is not IDR (7.3.6.1, 8.3.1); one PPS without extra header bits."""
    bits = _Bits(_unescape(nal[:64])[2:])
    bits.read(1)  # first_slice_segment_in_pic_flag
    if _is_irap(nal):
        bits.read(1)  # no_output_of_prior_pics_flag
    bits.exp_golomb()  # slice_pic_parameter_set_id
    bits.exp_golomb()  # slice_type
    lsb = bits.read(lsb_bits)
    period = 1 << lsb_bits
    count = previous - previous % period + lsb
    if count - previous >= period // 2:
        return count - period
    return count + period if previous - count > period // 2 else count


def _poc_lsb_bits(sps: bytes) -> int:
    """log2_max_pic_order_cnt_lsb of an SPS (7.3.2.2.1)."""
    bits = _Bits(_unescape(sps)[2:])
    bits.read(4)
    sub_layers = bits.read(3)  # sps_max_sub_layers_minus1
    bits.read(1)
    bits.read(96)  # profile_tier_level: general part (7.3.3)
    present = [(bits.read(1), bits.read(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.read(2 * (8 - sub_layers))
    for profile, level in present:
        bits.read(88 * profile + 8 * level)
    bits.exp_golomb()  # sps_seq_parameter_set_id
    if bits.exp_golomb() == 3:  # chroma_format_idc
        bits.read(1)
    bits.exp_golomb(), bits.exp_golomb()  # width, height
    if bits.read(1):  # conformance_window_flag
        for _ in range(4):
            bits.exp_golomb()
    bits.exp_golomb(), bits.exp_golomb()  # bit depths
    return bits.exp_golomb() + 4


def _slice(nals: list[bytes]) -> bytes:
    return next(nal for nal in nals if nal_type(nal) <= _LAST_VCL)


def _is_irap(nal: bytes) -> bool:
    return _FIRST_IRAP <= nal_type(nal) <= _LAST_IRAP


def _sei_messages(raw: bytearray) -> Iterator[tuple[int, int, int]]:
    """(payload type, first byte, size) of each message in an unescaped SEI NAL unit (7.3.5)."""
    at = 2
    while at + 2 < len(raw):  # the last byte is rbsp_trailing_bits
        kind, at = _sei_number(raw, at)
        size, at = _sei_number(raw, at)
        yield kind, at, size
        at += size


def _sei_number(raw: bytearray, at: int) -> tuple[int, int]:
    value = 0
    while raw[at] == 0xFF:
        value, at = value + 255, at + 1
    return value + raw[at], at + 1


def _sei_number_bytes(value: int) -> bytes:
    return b"\xff" * (value // 255) + bytes([value % 255])


def _unescape(nal: bytes) -> bytes:
    """Drop emulation prevention bytes (7.3.1.1)."""
    return re.sub(rb"\x00\x00\x03(?=[\x00-\x03]|$)", b"\x00\x00", nal)


def _escape(raw: bytes) -> bytes:
    """Put emulation prevention bytes in (7.4.2)."""
    out = bytearray()
    zeros = 0
    for byte in raw:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


class _Bits:
    """Reads bits from the left."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def read(self, count: int) -> int:
        if count > self._left:
            raise MediaError("a header of the encoded stream is cut short: the encoder's output is damaged")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        """ue(v), 9.2."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

"""Just enough of an AV1 low-overhead bit stream (AV1 specification, version 1.0.0 with errata 1).

Temporal units, and the content light level metadata that is patched once the programme is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vsdslnet.errors import MediaError

__all__ = ["insert_t35", "patch_content_light", "temporal_units"]

# 6.2.2 and 6.7.1.
_OBU_SEQUENCE_HEADER, _OBU_TEMPORAL_DELIMITER, _OBU_METADATA = 1, 2, 5
_OBU_FRAME_HEADER, _OBU_FRAME = 3, 6
_METADATA_HDR_CLL, _METADATA_ITUT_T35 = 1, 4


@dataclass(frozen=True, kw_only=True)
class Obu:
    """An open bitstream unit: its type, its bytes with header, and where its payload starts in them."""

    kind: int
    data: bytes
    payload_at: int


def temporal_units(stream: bytes) -> list[bytes]:
    """Split a chunk into temporal units (one shown frame each), without their delimiters.

    MediaError if it is not such a stream.
    """
    units: list[list[bytes]] = []
    for obu in obus(stream):
        if obu.kind == _OBU_TEMPORAL_DELIMITER:
            units.append([])
        elif not units:
            raise MediaError("a chunk starts without a temporal delimiter: the encoder's output is damaged")
        else:
            units[-1].append(obu.data)
    return [b"".join(unit) for unit in units]


def is_keyframe(unit: bytes) -> bool:
    """Whether a temporal unit starts a sequence: encoders repeat the sequence header just there."""
    return any(obu.kind == _OBU_SEQUENCE_HEADER for obu in obus(unit))


def patch_content_light(unit: bytes, payload: bytes) -> tuple[bytes, int]:
    """The unit with every content light level metadata carrying ``payload``, and how many there were."""
    patched, count = [], 0
    for obu in obus(unit):
        at = obu.payload_at
        if obu.kind == _OBU_METADATA and obu.data[at] == _METADATA_HDR_CLL:
            patched.append(obu.data[: at + 1] + payload + obu.data[at + 1 + len(payload) :])
            count += 1
        else:
            patched.append(obu.data)
    return b"".join(patched), count


def insert_t35(unit: bytes, payload: bytes) -> bytes:
    """The unit with ITU-T T.35 metadata for the frame it shows: before that frame's header, which is its last (5.8.2).

    So HDR10+ AV1 Metadata Handling, section 2.2, wants it: once for each shown frame, behind the frames that are not.
    MediaError if the unit shows none.
    """
    units = list(obus(unit))
    shown = [place for place, obu in enumerate(units) if obu.kind in (_OBU_FRAME, _OBU_FRAME_HEADER)]
    if not shown:
        raise MediaError("an AV1 temporal unit shows no frame: the encoder's output is damaged")
    frame = units[shown[-1]].data
    extension = frame[1:2] if frame[0] & 4 else b""
    body = bytes([_METADATA_ITUT_T35]) + payload + b"\x80"  # trailing bits
    header = bytes([_OBU_METADATA << 3 | frame[0] & 4 | 2]) + extension
    metadata = header + _leb128_bytes(len(body)) + body
    before, after = units[: shown[-1]], units[shown[-1] :]
    return b"".join([*(obu.data for obu in before), metadata, *(obu.data for obu in after)])


def obus(stream: bytes) -> Iterator[Obu]:
    """The units of a stream, in order (5.3)."""
    at = 0
    while at < len(stream):
        header = stream[at]
        kind, has_extension, has_size = (header >> 3) & 15, header >> 2 & 1, header >> 1 & 1
        if header & 0x80 or not has_size:
            raise MediaError("an AV1 unit has a bad header: the encoder's output is damaged")
        size, payload = _leb128(stream, at + 1 + has_extension)
        if payload + size > len(stream):
            raise MediaError("an AV1 unit is cut short: the encoder's output is damaged")
        yield Obu(kind=kind, data=stream[at : payload + size], payload_at=payload - at)
        at = payload + size


def _leb128_bytes(value: int) -> bytes:
    """A number as 4.10.5 writes it."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _leb128_bytes(rest) if rest else bytes([low])


def _leb128(stream: bytes, at: int) -> tuple[int, int]:
    """A number and the place behind it (4.10.5)."""
    value = 0
    for index, byte in enumerate(stream[at : at + 8]):
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, at + index + 1
    raise MediaError("an AV1 unit has a bad size: the encoder's output is damaged")

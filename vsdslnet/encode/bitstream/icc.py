"""An ICC profile that says BT.2020 PQ, for files that have no other place for it: TIFF.

ICC.1:2022. The tag ``cicp`` (9.2.17) says it exactly to readers that know it; matrix and curves say the same light to
the others, with 10,000 cd/m² as their white.
"""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vsdslnet.color.h273 import Matrix, Primaries, Range, Transfer
from vsdslnet.color.pq import C1, C2, C3, M1, M2
from vsdslnet.color.references import D65_XY, rgb_to_xyz_matrix
from vsdslnet.color.white import bradford, xyz_of

__all__ = ["bt2020_pq_profile"]

# CIE XYZ of the profile connection space's white (ICC.1 7.2.16).
_D50_XYZ = (0.9642, 1.0, 0.8249)
_CURVE_POINTS = 4096
_NAME = "ITU-R BT.2100 PQ"
_COPYRIGHT = "CC0"


@cache
def bt2020_pq_profile() -> bytes:
    """A display profile of version 4.4; always the same bytes."""
    adapted = bradford(xyz_of(D65_XY), np.array(_D50_XYZ))
    colorants = adapted @ rgb_to_xyz_matrix(Primaries.BT2020)
    curve = b"curv" + bytes(4) + struct.pack(">I", _CURVE_POINTS) + _light_of_signal().astype(">u2").tobytes()
    tags = {
        b"desc": _text(_NAME),
        b"cprt": _text(_COPYRIGHT),
        b"wtpt": _xyz(_D50_XYZ),
        b"chad": b"sf32" + bytes(4) + b"".join(_s15_fixed16(value) for value in adapted.ravel()),
        b"rXYZ": _xyz(colorants[:, 0]),
        b"gXYZ": _xyz(colorants[:, 1]),
        b"bXYZ": _xyz(colorants[:, 2]),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
        b"cicp": b"cicp" + bytes(4) + bytes([Primaries.BT2020, Transfer.PQ, Matrix.RGB, Range.FULL]),
    }
    return _file(tags)


def _light_of_signal() -> NDArray[np.float64]:
    """The PQ EOTF at even steps (BT.2100 table 4), as 16-bit numbers."""
    signal = np.linspace(0, 1, _CURVE_POINTS) ** (1 / M2)
    light = (np.maximum(signal - C1, 0) / (C2 - C3 * signal)) ** (1 / M1)
    return np.round(light * 65_535)


def _file(tags: dict[bytes, bytes]) -> bytes:
    at = 128 + 4 + 12 * len(tags)
    table, body, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    for name, data in tags.items():
        if data not in places:  # the three curves share one place
            places[data] = at + len(body)
            body += data + bytes(-len(data) % 4)
        table += name + struct.pack(">2I", places[data], len(data))
    header = struct.pack(
        ">I4xI4s4s4s12s4s4xI16xI12s48x",
        *(128 + len(table) + len(body), 0x04400000, b"mntr", b"RGB ", b"XYZ "),
        struct.pack(">6H", 2024, 1, 1, 0, 0, 0),
        *(b"acsp", 0, 1),  # flags, then the intent: media-relative
        b"".join(_s15_fixed16(value) for value in _D50_XYZ),
    )
    return header + table + body


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">2I4s2I", 1, 12, b"enUS", len(encoded), 28) + encoded


def _xyz(xyz: tuple[float, ...] | NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(_s15_fixed16(float(value)) for value in xyz)


def _s15_fixed16(value: float) -> bytes:
    return struct.pack(">i", round(value * 65_536))

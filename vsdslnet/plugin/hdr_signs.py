"""How a frame shows that it is HDR: by its tags and, where they are silent, by what comes with it."""

from __future__ import annotations

from collections.abc import Mapping

from vsdslnet.color.h273 import Matrix, Transfer

__all__ = ["DOLBY_VISION_ALONE", "HDR_TRANSFERS", "SDR_TRANSFERS", "first_integer", "hdr_sign"]

HDR_TRANSFERS = frozenset({Transfer.PQ, Transfer.HLG})
SDR_TRANSFERS = frozenset({1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17})
"""The other codes of H.273 table 3 that have a meaning."""

DOLBY_VISION_ALONE = "whose colours only its own decoders know; FFmpeg's libplacebo filter makes HDR10 of it"
# Diffuse white (BT.2408): the display of an SDR master stays below it, that of an HDR one goes beyond.
_SDR_NITS = 203.0


def hdr_sign(props: Mapping[str, object], *, believe_matrix: bool = True) -> str | None:
    """What tells that a frame with these properties is HDR, in words; None if it is taken for SDR.

    PQ and HLG say so themselves, and ICtCp (BT.2100) is HDR's alone. Beside an SDR transfer, metadata of HDR are
    what a tone mapping left over. A frame without a transfer is judged by them: Dolby Vision profile 5 has no
    colour tags at all, and there are HDR10 files whose tags stand in the container only, where no frame has them.
    """
    transfer = first_integer(props, "_Transfer")
    if transfer in HDR_TRANSFERS:
        return f"_Transfer={int(transfer)}, {'PQ' if transfer == Transfer.PQ else 'HLG'}"
    if believe_matrix and first_integer(props, "_Matrix") == Matrix.ICTCP:
        return f"_Matrix={int(Matrix.ICTCP)}, ICtCp"
    if transfer in SDR_TRANSFERS:
        return None
    if "DolbyVisionRPU" in props:
        return f"DolbyVisionRPU and no _Transfer: Dolby Vision profile 5, {DOLBY_VISION_ALONE}"
    if "HDR10Plus" in props:
        return "HDR10Plus and no _Transfer"
    for name in ("MasteringDisplayMaxLuminance", "ContentLightLevelMax"):
        nits = _first(props, name)
        if isinstance(nits, int | float) and nits > _SDR_NITS:
            return f"{name}={nits:g} and no _Transfer"
    return None


def first_integer(props: Mapping[str, object], name: str) -> int | None:
    """A property's first value, which is what ``core.resize`` reads; None where there is none or no integer."""
    value = _first(props, name)
    return int(value) if isinstance(value, int) else None


def _first(props: Mapping[str, object], name: str) -> object:
    value = props.get(name)
    if isinstance(value, list | tuple):
        return value[0] if value else None
    return value

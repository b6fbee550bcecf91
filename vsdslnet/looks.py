"""Look files: what a grade is like, learnt from examples by ``vsdslnet fit``; what ``look=`` takes.

A file is safetensors like a model's (no code can hide in it), with ``format`` "vsdslnet-look", ``look`` (JSON of
:class:`_Description`), the ``sha256`` of its tensor bytes, and one tensor: the light of every SDR grey level.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from vsdslnet.errors import WeightsError, shorten
from vsdslnet.tensor_files import FileKind, write_whole

__all__ = ["NODES", "Look", "available_looks", "check_look", "find_look", "read_look", "save_look"]

NODES = 33
"""Evenly spaced SDR grey levels from black to white whose light a look says."""

_KIND = FileKind(
    argument="look",
    folder="looks",
    format="vsdslnet-look",
    is_none="is no look; models go into model=",
    named=("a look's name", "a file made by vsdslnet fit"),
    cure="fit it again or name another look",
    most_bytes=1 << 20,
)


class Look(NamedTuple):
    """One grade, as it differs from the base under the network.

    ``nodes_pq``    PQ of the light of ``NODES`` SDR greys from black (0) to white, never falling.
    ``saturation``  factor on chroma in ICtCp, 0.25 to 4.
    ``base``        the base whose greys it takes there (:mod:`vsdslnet.color.bases`).
    ``sha256``      of its file.
    """

    nodes_pq: tuple[float, ...]
    saturation: float
    base: str
    sha256: str = ""


class _Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    saturation: float
    base: str
    notes: str = ""


def available_looks() -> list[str]:
    """Names that ``look=`` accepts, sorted."""
    return _KIND.names()


def find_look(look: str) -> Path:
    """Path of a look by its name, or of a ``.safetensors`` file by its path; else WeightsError."""
    return _KIND.find(look, asked=look)


def read_look(look: str) -> Look:
    """Verify a look by its name or path and read it; WeightsError says what is wrong with it."""
    path = find_look(look)
    return _read_cached(path, _KIND.state(path))


@lru_cache(maxsize=64)
def _read_cached(path: Path, _state: tuple[int, int]) -> Look:
    metadata, digest, body = _KIND.verify(path)
    if len(body) != 4 * NODES:
        raise _KIND.bad(path, f"does not hold {NODES} levels")
    nodes = np.frombuffer(body, dtype="<f4").astype(np.float64)
    try:
        said = msgspec.json.decode(metadata.get("look", "").encode(), type=_Description)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise _KIND.bad(path, f"has a description this version can't read ({error})") from None
    rising = np.isfinite(nodes).all() and nodes[0] == 0 and nodes[-1] <= 1 and (np.diff(nodes) >= 0).all()
    if not rising or not 0.25 <= said.saturation <= 4:
        raise _KIND.bad(path, "says light that falls, or no saturation that can be")
    whole = hashlib.sha256(digest.encode() + msgspec.json.encode(said)).hexdigest()
    return Look(tuple(nodes.tolist()), said.saturation, said.base, whole)


def check_look(look: str, base: str) -> None:
    """WeightsError unless there is such a look and it was made over the ``base`` that the model corrects."""
    found = read_look(look)
    if found.base != base:
        raise WeightsError(
            f"look={shorten(look, 200)} was made over the base {found.base}, the model corrects {base}: "
            "fit it again, or name another model"
        )


def save_look(look: Look, path: Path, *, notes: str = "") -> None:
    """Write a look, whole or not at all."""
    from safetensors.numpy import save

    nodes = np.array(look.nodes_pq, dtype="<f4")
    said = _Description(saturation=look.saturation, base=look.base, notes=notes)
    metadata = {
        "format": _KIND.format,
        "look": msgspec.json.encode(said).decode(),
        "sha256": hashlib.sha256(nodes.tobytes()).hexdigest(),
    }
    write_whole(path, save({"nodes_pq": nodes}, metadata))

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

from vsdslnet import weights
from vsdslnet.errors import WeightsError, shorten

__all__ = ["NODES", "Look", "available_looks", "check_look", "find_look", "read_look", "save_look"]

NODES = 33
"""Evenly spaced SDR grey levels from black to white whose light a look says."""

_FORMAT = "vsdslnet-look"
_SUFFIX = ".safetensors"
_MAX_FILE_BYTES = 1 << 20
_NAME_LIMIT = 200


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


def _folders() -> list[Path]:
    return [folder / "looks" for folder in weights.models_folders()]


def available_looks() -> list[str]:
    """Names that ``look=`` accepts, sorted."""
    return sorted({path.stem for folder in _folders() for path in folder.glob(f"*{_SUFFIX}")})


def find_look(look: str) -> Path:
    """Path of a look by its name, or of a ``.safetensors`` file by its path; else WeightsError."""
    asked = shorten(look, _NAME_LIMIT)
    if look.endswith(_SUFFIX):
        path = weights.expanded(look)
        if path is not None and weights.is_file(path):
            return path
        raise WeightsError(f"look={asked}: there is no such file; give a look's name or a file made by vsdslnet fit")
    for folder in _folders():
        path = folder / f"{look}{_SUFFIX}"
        if path.parent == folder and weights.is_file(path):
            return path
    names = ", ".join(available_looks()) or "none is installed"
    raise WeightsError(f"look={asked} is not known: available are {names}, or a file made by vsdslnet fit")


def read_look(look: str) -> Look:
    """Verify a look by its name or path and read it; WeightsError says what is wrong with it."""
    path = find_look(look)
    try:
        status = path.stat()
        return _read_cached(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error.strerror}); fit it again or name another") from None


@lru_cache(maxsize=64)
def _read_cached(path: Path, _mtime_ns: int, size_bytes: int) -> Look:
    if size_bytes > _MAX_FILE_BYTES:
        raise _bad(path, f"has {size_bytes} bytes, more than any look")
    header, body = weights.split(path, path.read_bytes())
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != _FORMAT:
        raise _bad(path, "is no look; models go into model=")
    digest = hashlib.sha256(body).hexdigest()
    if digest != metadata.get("sha256"):
        raise _bad(path, "does not match its own sha256: it is damaged or was altered")
    if len(body) != 4 * NODES:
        raise _bad(path, f"does not hold {NODES} levels")
    nodes = np.frombuffer(body, dtype="<f4").astype(np.float64)
    try:
        said = msgspec.json.decode(str(metadata.get("look", "")).encode(), type=_Description)
    except msgspec.MsgspecError as error:
        raise _bad(path, f"has a description this version can't read ({error})") from None
    rising = np.isfinite(nodes).all() and nodes[0] == 0 and nodes[-1] <= 1 and (np.diff(nodes) >= 0).all()
    if not rising or not 0.25 <= said.saturation <= 4:
        raise _bad(path, "says light that falls, or no saturation that can be")
    whole = hashlib.sha256(digest.encode() + msgspec.json.encode(said)).hexdigest()
    return Look(tuple(nodes.tolist()), said.saturation, said.base, whole)


def check_look(look: str, base: str) -> None:
    """WeightsError unless there is such a look and it was made over the ``base`` that the model corrects."""
    found = read_look(look)
    if found.base != base:
        raise WeightsError(
            f"look={shorten(look, _NAME_LIMIT)} was made over the base {found.base}, the model corrects {base}: "
            "fit it again, or name another model"
        )


def _bad(path: Path, what: str) -> WeightsError:
    return WeightsError(f"{path}: the file {what}; fit it again or name another look")


def save_look(look: Look, path: Path, *, notes: str = "") -> None:
    """Write a look, whole or not at all."""
    from safetensors.numpy import save

    nodes = np.array(look.nodes_pq, dtype="<f4")
    said = _Description(saturation=look.saturation, base=look.base, notes=notes)
    metadata = {
        "format": _FORMAT,
        "look": msgspec.json.encode(said).decode(),
        "sha256": hashlib.sha256(nodes.tobytes()).hexdigest(),
    }
    weights.write_whole(path, save({"nodes_pq": nodes}, metadata))

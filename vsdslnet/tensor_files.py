"""safetensors files that carry their own description and hash: found by name, verified whole, written whole.

No code can hide in one. Its metadata have a ``format``, and ``sha256`` of the tensor bytes behind the header; nothing
is trusted before both agree. What else stands there is its reader's affair (:mod:`vsdslnet.weights`,
:mod:`vsdslnet.looks`).
"""

from __future__ import annotations

import hashlib
import json
import stat
import struct
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from vsdslnet.errors import WeightsError, shorten

__all__ = ["SUFFIX", "FileKind", "VerifiedFile", "body_of", "write_whole"]

SUFFIX = ".safetensors"
_NAME_LIMIT = 200
_MAX_HEADER_BYTES = 1 << 20


class VerifiedFile(NamedTuple):
    """A file whose format and hash are right: its metadata, and the tensor bytes behind the header."""

    metadata: dict[str, str]
    sha256: str
    body: memoryview


class FileKind(NamedTuple):
    """What distinguishes models from looks.

    ``argument``    the option that takes them.
    ``folder``      where the installed ones lie, below ``models``.
    ``format``      what their metadata say.
    ``is_none``     what a file of another format is told.
    ``named``       how an error calls a name and a path that would have been right.
    ``cure``        the last part of an error about a file.
    ``most_bytes``  above which a file is not even read.
    """

    argument: str
    folder: str
    format: str
    is_none: str
    named: tuple[str, str]
    cure: str
    most_bytes: int

    def folders(self) -> list[Path]:
        """Where they are looked for: beside the installed package, or in ``models/`` of a checkout."""
        package = Path(str(resources.files("vsdslnet")))
        return [beside / "models" / self.folder for beside in (package, package.parent)]

    def names(self) -> list[str]:
        """The installed ones, sorted."""
        return sorted({path.stem for folder in self.folders() for path in folder.glob(f"*{SUFFIX}")})

    def find(self, wanted: str, asked: str) -> Path:
        """Path of an installed one by its name, or of a file by its path; else WeightsError about ``asked``."""
        asked = shorten(asked, _NAME_LIMIT)
        a_name, a_file = self.named
        if wanted.endswith(SUFFIX):
            path = _expanded(wanted)
            if path is not None and _is_file(path):
                return path
            raise WeightsError(f"{self.argument}={asked}: there is no such file; give {a_name} or {a_file}")
        for folder in self.folders():
            path = folder / f"{wanted}{SUFFIX}"
            if path.parent == folder and _is_file(path):
                return path
        names = ", ".join(self.names()) or "none is installed"
        raise WeightsError(f"{self.argument}={asked} is not known: available are {names}, or {a_file}")

    def state(self, path: Path) -> tuple[int, int]:
        """When a file was changed, and its bytes: what a reader may keep its contents by; else WeightsError."""
        try:
            status = path.stat()
        except OSError as error:
            raise self.unreadable(path, error) from None
        if not stat.S_ISREG(status.st_mode):
            raise self.bad(path, "is not a regular file")
        return status.st_mtime_ns, status.st_size

    def verify(self, path: Path) -> VerifiedFile:
        """Read a file and check its format and hash; WeightsError says what is wrong with it."""
        size_bytes = self.state(path)[1]
        if size_bytes > self.most_bytes:
            raise self.bad(path, f"has {size_bytes} bytes, more than any {self.argument} of ours")
        try:
            header, body = _split(path.read_bytes())
        except OSError as error:
            raise self.unreadable(path, error) from None
        except ValueError as error:
            raise self.bad(path, str(error)) from None
        metadata = header.get("__metadata__")
        if not isinstance(metadata, dict) or metadata.get("format") != self.format:
            raise self.bad(path, self.is_none)
        said = {str(name): str(text) for name, text in metadata.items()}
        digest = hashlib.sha256(body).hexdigest()
        if digest != said.get("sha256"):
            raise self.bad(path, "does not match its own sha256: it is damaged or was altered")
        return VerifiedFile(said, digest, body)

    def bad(self, path: Path, what: str) -> WeightsError:
        """The error about a file."""
        return WeightsError(f"{path}: the file {what}; {self.cure}")

    def unreadable(self, path: Path, error: OSError) -> WeightsError:
        """The error about a file that the system does not hand out."""
        return WeightsError(f"{path}: can't be read ({error.strerror}); {self.cure}")


def body_of(data: bytes) -> memoryview:
    """The tensor bytes of a safetensors file; ValueError if it is none."""
    return _split(data)[1]


def _split(data: bytes) -> tuple[dict[str, object], memoryview]:
    """Header and tensor bytes; ValueError says what the file is or has instead."""
    if len(data) < 8:
        raise ValueError("is truncated")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(_MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError("is truncated or is not a safetensors file")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        raise ValueError("has a header that is not JSON") from None
    if not isinstance(header, dict):
        raise ValueError("has a header that is not an object")
    return header, memoryview(data)[8 + length :]


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that under its name there is never a part of it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def _expanded(text: str) -> Path | None:
    """A path as a user writes it, with ``~``; None if it is nobody's."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # "~name" of a user this machine does not have
        return None


def _is_file(path: Path) -> bool:
    """Whether there is such a file; False for what can be none."""
    try:
        return path.is_file()
    except OSError:  # a name too long, a folder that can't be searched
        return False

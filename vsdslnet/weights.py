"""Weights files: find one, verify it, read its description, build its network.

A file is safetensors (no code can hide in it) whose metadata carries ``format`` ("vsdslnet"),
``config`` (JSON of :class:`~vsdslnet.network.config.DSLNetConfig`) and ``sha256`` (of the tensor bytes
behind the header). Nothing is trusted before the hash and every shape agree.
"""

from __future__ import annotations

import hashlib
import json
import stat
import struct
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vsdslnet.errors import WeightsError, shorten
from vsdslnet.network.config import DSLNetConfig

if TYPE_CHECKING:
    from torch import Tensor

    from vsdslnet.network.dslnet import DSLNet

__all__ = [
    "LUT_SUFFIX",
    "WeightsFile",
    "available_models",
    "expanded",
    "find",
    "is_file",
    "is_lut",
    "load_model",
    "load_network",
    "model_radius_frames",
    "read",
    "save",
    "split",
    "write_whole",
]

FORMAT = "vsdslnet"
_SUFFIX = ".safetensors"
_NAME_LIMIT = 200
LUT_SUFFIX = "-lut"
"""Behind a model's name or path: that model as a 3D LUT, fast enough for previews."""
_MAX_HEADER_BYTES = 1 << 20
_MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A verified weights file: where it is, what it describes, and its hash."""

    path: Path
    config: DSLNetConfig
    sha256: str
    metadata: dict[str, str]


def models_folders() -> list[Path]:
    """Where models are looked for: beside the installed package, or ``models/`` of a checkout."""
    package = Path(str(resources.files("vsdslnet")))
    return [package / "models", package.parent / "models"]


def available_models() -> list[str]:
    """Names that ``model=`` accepts, sorted."""
    found = {path.stem for folder in models_folders() for path in folder.glob(f"*{_SUFFIX}")}
    return sorted(found)


def is_lut(model: str) -> bool:
    """Whether a model is asked for as a 3D LUT."""
    return model.endswith(LUT_SUFFIX)


def find(model: str) -> Path:
    """Path of a model by its name, or of a ``.safetensors`` file by its path; else WeightsError.

    A LUT's weights are those of the network it stands for.
    """
    asked = shorten(model, _NAME_LIMIT)
    model = model.removesuffix(LUT_SUFFIX)
    if model.endswith(_SUFFIX):
        path = expanded(model)
        if path is not None and is_file(path):
            return path
        raise WeightsError(f"model={asked}: there is no such file; give a model's name or a .safetensors path")
    for folder in models_folders():
        path = folder / f"{model}{_SUFFIX}"
        if path.parent == folder and is_file(path):
            return path
    names = ", ".join(available_models()) or "none is installed"
    raise WeightsError(f"model={asked} is not known: available are {names}, or a path to a .safetensors file")


def expanded(model: str) -> Path | None:
    """A path as a user writes it, with ``~``; None if it is nobody's."""
    try:
        return Path(model).expanduser()
    except RuntimeError:  # "~name" of a user this machine does not have
        return None


def is_file(path: Path) -> bool:
    """Whether there is such a file; False for what can be none."""
    try:
        return path.is_file()
    except OSError:  # a name too long, a folder that can't be searched
        return False


def read(path: Path) -> WeightsFile:
    """Verify a weights file and read its description; WeightsError says what is wrong with it.

    Costs one pass of sha256 over the file (a few milliseconds); needs no torch.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _bad(path, "is not a regular file")
        return _read_cached(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error.strerror}); reinstall or name another file") from None


@lru_cache(maxsize=16)
def _read_cached(path: Path, _mtime_ns: int, size_bytes: int) -> WeightsFile:
    if size_bytes > _MAX_FILE_BYTES:
        raise _bad(path, f"has {size_bytes} bytes, more than any network of ours")
    header, body = split(path, path.read_bytes())
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise _bad(path, "is not a vsdslnet weights file")
    if not {"config", "sha256"} <= metadata.keys():
        raise _bad(path, "lacks its config or its hash")
    digest = hashlib.sha256(body).hexdigest()
    if digest != metadata["sha256"]:
        raise _bad(path, "does not match its own sha256: it is damaged or was altered")
    try:
        config = msgspec.json.decode(metadata["config"].encode(), type=DSLNetConfig)
    except (msgspec.MsgspecError, AttributeError) as error:
        raise _bad(path, f"has a config this version can't read ({error})") from None
    return WeightsFile(path=path, config=config, sha256=digest, metadata=dict(metadata))


def split(path: Path, data: bytes) -> tuple[dict[str, object], memoryview]:
    """Header and tensor bytes of a safetensors file; WeightsError if it is none."""
    if len(data) < 8:
        raise _bad(path, "is truncated")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(_MAX_HEADER_BYTES, len(data) - 8):
        raise _bad(path, "is truncated or is not a safetensors file")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        raise _bad(path, "has a header that is not JSON") from None
    if not isinstance(header, dict):
        raise _bad(path, "has a header that is not an object")
    return header, memoryview(data)[8 + length :]


def _bad(path: Path, what: str) -> WeightsError:
    return WeightsError(f"{path}: the file {what}; reinstall vsdslnet or name another model")


def model_radius_frames(model: str) -> int:
    """T of a model (frames to each side of the centre), from its verified header."""
    return read(find(model)).config.radius


def load_model(model: str = "dslnet") -> DSLNet:
    """The network of an installed model's name, or of a ``.safetensors`` file's path; else WeightsError.

    In eval mode, fp32, on the CPU. It maps windows (B, 2T+1, 3, H, W) of SDR R'G'B' 0..1 to PQ (B, 3, H, W):

    >>> import torch
    >>> from vsdslnet import load_model
    >>> network = load_model("dslnet")
    >>> with torch.inference_mode():
    ...     pq = network(torch.full((1, 5, 3, 16, 16), 0.5))
    >>> tuple(pq.shape)
    (1, 3, 16, 16)
    """
    return load_network(read(find(model)))


def load_network(file: WeightsFile) -> DSLNet:
    """Build the network a verified file describes, in eval mode, fp32, on the CPU; else WeightsError."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    from vsdslnet.network.dslnet import DSLNet

    # Not on the meta device: its first use imports 890 modules of torch's compiler, which takes a
    # hundred times as long as initialising these weights for nothing.
    network = DSLNet(file.config)
    try:
        data = file.path.read_bytes()
        # The file may have changed since its description was verified.
        if hashlib.sha256(split(file.path, data)[1]).hexdigest() != file.sha256:
            raise _bad(file.path, "changed while it was being loaded")
        state = load(data)
    except OSError as error:
        raise WeightsError(f"{file.path}: can't be read ({error.strerror}); reinstall or name another file") from None
    except SafetensorError as error:
        raise _bad(file.path, f"can't be parsed ({error})") from None
    network.load_state_dict(_matched(file.path, state, network.state_dict()), assign=True)
    return network.eval().requires_grad_(False)


def _matched(path: Path, state: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors in the network's dtypes, once names, shapes, kinds and values are possible."""
    if expected.keys() != state.keys():
        odd = ", ".join(sorted(expected.keys() ^ state.keys())[:3])
        raise _bad(path, f"does not hold the tensors its config asks for ({odd}, ...)")
    for name, tensor in state.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape:
            raise _bad(path, f"holds {name} as {tuple(tensor.shape)}, not {tuple(wanted.shape)}")
        if tensor.is_floating_point() != wanted.is_floating_point() or tensor.is_complex():
            raise _bad(path, f"holds {name} as {tensor.dtype}, not {wanted.dtype}")
        if not tensor.float().isfinite().all():
            raise _bad(path, f"holds numbers in {name} that are not finite")
    return {name: tensor.to(expected[name].dtype) for name, tensor in state.items()}


def save(network: DSLNet, path: Path, *, notes: dict[str, str] | None = None) -> WeightsFile:
    """Write a network as a weights file, whole or not at all; ``notes`` join the metadata."""
    from safetensors.torch import save as serialise

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    bare = serialise(tensors)
    (length,) = struct.unpack("<Q", bare[:8])
    metadata = dict(notes or {}) | {
        "format": FORMAT,
        "config": msgspec.json.encode(network.config).decode(),
        "sha256": hashlib.sha256(bare[8 + length :]).hexdigest(),
    }
    write_whole(path, serialise(tensors, metadata))
    return read(path)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that under its name there is never a part of it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)

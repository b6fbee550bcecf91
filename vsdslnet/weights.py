"""Weights files: find one, verify it, read its description, build its network.

A file is safetensors (no code can hide in it) whose metadata carries ``format`` ("vsdslnet"),
``config`` (JSON of :class:`~vsdslnet.network.config.DSLNetConfig`) and ``sha256`` (of the tensor bytes
behind the header). Nothing is trusted before the hash and every shape agree.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vsdslnet.network.config import DSLNetConfig
from vsdslnet.tensor_files import FileKind, body_of, write_whole

if TYPE_CHECKING:
    from torch import Tensor

    from vsdslnet.network.dslnet import DSLNet

__all__ = [
    "LUT_SUFFIX",
    "WeightsFile",
    "available_luts",
    "available_models",
    "find",
    "is_lut",
    "load_model",
    "load_network",
    "lut_of",
    "model_radius_frames",
    "read",
    "save",
]

LUT_SUFFIX = "-lut"
"""Behind a model's name or path: that model as a 3D LUT, fast enough for previews."""
_FAST_SUFFIX = "-fast"
"""Behind a model's name: its smaller relative, made to give the same picture."""
_KIND = FileKind(
    argument="model",
    folder="",
    format="vsdslnet",
    is_none="is not a vsdslnet weights file",
    named=("a model's name", "a path to a .safetensors file"),
    cure="reinstall vsdslnet or name another model",
    most_bytes=1 << 30,
)


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A verified weights file: where it is, what it describes, and its hash."""

    path: Path
    config: DSLNetConfig
    sha256: str
    metadata: dict[str, str]


def available_models() -> list[str]:
    """Names that ``model=`` accepts, sorted."""
    return _KIND.names()


def available_luts() -> list[str]:
    """Names of the LUTs that ``model=`` accepts, each network's once, sorted."""
    names: dict[Path, str] = {}
    for name in available_models():
        names.setdefault(find(lut_of(name)), lut_of(name))
    return list(names.values())


def is_lut(model: str) -> bool:
    """Whether a model is asked for as a 3D LUT."""
    return model.endswith(LUT_SUFFIX)


def lut_of(model: str) -> str:
    """The model as a 3D LUT, which it may be already."""
    return model if is_lut(model) else model + LUT_SUFFIX


def find(model: str) -> Path:
    """Path of a model by its name, or of a ``.safetensors`` file by its path; else WeightsError.

    A LUT's weights are those of the network that it is learnt from: of an installed model its fast relative, where
    there is one. That sees a key frame at a larger size in half the time, and so its LUT is nearer to the full model's
    picture than the full model's own (2.34 against 2.49 dE_ITP over nine frames).
    """
    name = model.removesuffix(LUT_SUFFIX)
    if is_lut(model) and name + _FAST_SUFFIX in available_models():
        name += _FAST_SUFFIX
    return _KIND.find(name, asked=model)


def read(path: Path) -> WeightsFile:
    """Verify a weights file and read its description; WeightsError says what is wrong with it.

    Costs one pass of sha256 over the file (a few milliseconds); needs no torch.
    """
    return _read_cached(path, _KIND.state(path))


@lru_cache(maxsize=16)
def _read_cached(path: Path, _state: tuple[int, int]) -> WeightsFile:
    metadata, sha256, _ = _KIND.verify(path)
    try:
        config = msgspec.json.decode(metadata.get("config", "").encode(), type=DSLNetConfig)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise _KIND.bad(path, f"has a config this version can't read ({error})") from None
    return WeightsFile(path=path, config=config, sha256=sha256, metadata=metadata)


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
        if hashlib.sha256(body_of(data)).hexdigest() != file.sha256:
            raise ValueError("changed while it was being loaded")
        state = load(data)
    except OSError as error:
        raise _KIND.unreadable(file.path, error) from None
    except ValueError as error:
        raise _KIND.bad(file.path, str(error)) from None
    except SafetensorError as error:
        raise _KIND.bad(file.path, f"can't be parsed ({error})") from None
    network.load_state_dict(_matched(file.path, state, network.state_dict()), assign=True)
    return network.eval().requires_grad_(False)


def _matched(path: Path, state: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors in the network's dtypes, once names, shapes, kinds and values are possible."""
    if expected.keys() != state.keys():
        odd = ", ".join(sorted(expected.keys() ^ state.keys())[:3])
        raise _KIND.bad(path, f"does not hold the tensors its config asks for ({odd}, ...)")
    for name, tensor in state.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape:
            raise _KIND.bad(path, f"holds {name} as {tuple(tensor.shape)}, not {tuple(wanted.shape)}")
        if tensor.is_floating_point() != wanted.is_floating_point() or tensor.is_complex():
            raise _KIND.bad(path, f"holds {name} as {tensor.dtype}, not {wanted.dtype}")
        if not tensor.float().isfinite().all():
            raise _KIND.bad(path, f"holds numbers in {name} that are not finite")
    return {name: tensor.to(expected[name].dtype) for name, tensor in state.items()}


def save(network: DSLNet, path: Path, *, notes: dict[str, str] | None = None) -> WeightsFile:
    """Write a network as a weights file, whole or not at all; ``notes`` join the metadata."""
    from safetensors.torch import save as serialise

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata = dict(notes or {}) | {
        "format": _KIND.format,
        "config": msgspec.json.encode(network.config).decode(),
        "sha256": hashlib.sha256(body_of(serialise(tensors))).hexdigest(),
    }
    write_whole(path, serialise(tensors, metadata))
    return read(path)

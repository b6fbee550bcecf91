"""vsdslnet: SDR (BT.709) video to HDR10 with DSLNet, as a VapourSynth plugin, a command and a library.

In a VapourSynth script use ``core.dslnet.Convert(clip)``; this module needs no import there. In Python::

    load_model      the network of a model, a torch module
    Converter       windows of SDR frames to HDR frames (HdrFrame), as ConvertOptions say
    encode_file     an SDR file to an HDR10 file, as EncodeSettings say
    DslnetError     and its kinds: everything that is raised on purpose

Importing this module loads neither torch nor VapourSynth: what needs them is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vsdslnet.errors import (
    ArgumentError,
    BackendError,
    ClipError,
    DslnetError,
    ExecutorError,
    JobError,
    MediaError,
    MissingPackageError,
    OutputError,
    WeightsError,
)

if TYPE_CHECKING:
    from vsdslnet.encode.run import encode_file
    from vsdslnet.encode.settings import EncodeSettings
    from vsdslnet.inference.converter import Converter, HdrFrame
    from vsdslnet.options import ConvertOptions
    from vsdslnet.weights import load_model

__all__ = [
    "ArgumentError",
    "BackendError",
    "ClipError",
    "ConvertOptions",
    "Converter",
    "DslnetError",
    "EncodeSettings",
    "ExecutorError",
    "HdrFrame",
    "JobError",
    "MediaError",
    "MissingPackageError",
    "OutputError",
    "WeightsError",
    "__version__",
    "encode_file",
    "load_model",
]

__version__ = "0.2.0"

_WHERE = {
    "ConvertOptions": "vsdslnet.options",
    "Converter": "vsdslnet.inference.converter",
    "EncodeSettings": "vsdslnet.encode.settings",
    "HdrFrame": "vsdslnet.inference.converter",
    "encode_file": "vsdslnet.encode.run",
    "load_model": "vsdslnet.weights",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'vsdslnet' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})

"""vsdslnet: SDR (BT.709) video to HDR10 with DSLNet, as a VapourSynth plugin and a library.

In a VapourSynth script use ``core.dslnet.Convert(clip)``; this module needs no import there.
"""

from __future__ import annotations

from vsdslnet.errors import (
    ArgumentError,
    ClipError,
    DslnetError,
    EngineError,
    JobError,
    MediaError,
    OutputError,
    WeightsError,
)

__all__ = [
    "ArgumentError",
    "ClipError",
    "DslnetError",
    "EngineError",
    "JobError",
    "MediaError",
    "OutputError",
    "WeightsError",
    "__version__",
]

__version__ = "0.1.0"

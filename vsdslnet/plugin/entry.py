"""What the native shim calls: hands it the function behind ``core.dslnet.Convert``."""

from __future__ import annotations

import logging
from typing import Any

import vapoursynth as vs

from vsdslnet.errors import DslnetError
from vsdslnet.options import ClipOptions
from vsdslnet.plugin.convert import convert

__all__ = ["bind"]

_log = logging.getLogger(__name__)


def bind() -> None:
    """Give the shim, which waits for it on this thread, the function that builds Convert's graph."""
    vs.core.dslnet.Bind(func=_convert)


def _convert(clip: vs.VideoNode, **arguments: Any) -> dict[str, Any]:
    """Build the graph: ``{"clip": node}``, or ``{"error": one line}``."""
    try:
        return {"clip": convert(clip, ClipOptions.parse(arguments))}
    except (DslnetError, vs.Error) as error:
        return {"error": str(error)}
    except Exception as error:
        _log.debug("Convert failed", exc_info=True)
        return {"error": f"{type(error).__name__}: {error}"}

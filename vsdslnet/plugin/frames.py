"""The functions that ``core.dslnet.Window`` calls: frames in, a frame out, errors as one line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import vapoursynth as vs

from vsdslnet.color.h273 import Primaries, Transfer
from vsdslnet.errors import DslnetError
from vsdslnet.options import ConvertOptions
from vsdslnet.plugin.color_tags import ColorOverrides, guess_tags, read_tags
from vsdslnet.plugin.memory import MemoryReturn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Selector", "hdr_selector", "reporting", "tag_selector", "window_tensor"]

_log = logging.getLogger(__name__)
_memory = MemoryReturn()

Selector = Callable[..., vs.VideoFrame | dict[str, str]]


def tag_selector(clip: vs.VideoNode, overrides: ColorOverrides) -> Selector:
    """Completes each frame's colour tags, and refuses frames that are interlaced or HDR."""
    color_family = clip.format.color_family
    guess = guess_tags(color_family, clip.width, clip.height)

    def complete(frame: vs.VideoFrame) -> vs.VideoFrame:
        tags = read_tags(frame.props, color_family, guess, overrides)
        tagged = frame.copy()
        tagged.props.update(tags.as_props(color_family))
        return tagged

    return reporting(lambda frames: complete(frames[0]))


def hdr_selector(settings: ConvertOptions) -> Selector:
    """Turns a window of RGBS frames (SDR, BT.709, full range) into the centre frame in PQ BT.2020.

    torch and the weights are loaded by the first frame, so that opening a script stays fast. A selector
    keeps its input tensor between frames; a Window calls its selector one frame at a time.
    """
    window: Tensor | None = None

    def convert(frames: list[vs.VideoFrame]) -> vs.VideoFrame:
        nonlocal window
        from vsdslnet.inference.converter import Converter

        centre = frames[len(frames) // 2]
        window = window_tensor(frames, into=window)
        result = Converter.load(settings)(window, overwrite=True)
        hdr = centre.copy()
        for plane in range(3):
            np.copyto(np.asarray(hdr[plane]), result.pq[plane].numpy())
        hdr.props.update(
            _Transfer=int(Transfer.PQ),
            _Primaries=int(Primaries.BT2020),
            DSLNetMaxNits=result.max_nits,
            DSLNetAverageNits=result.average_nits,
        )
        _memory.after_frame(result.pq.nbytes)
        return hdr

    return reporting(convert)


def window_tensor(frames: list[vs.VideoFrame], *, into: Tensor | None = None) -> Tensor:
    """RGBS frames of one size as (frames, 3, H, W) fp32, in a new tensor or the one given."""
    import torch

    if into is None:
        into = torch.empty(len(frames), 3, frames[0].height, frames[0].width)
    for planes, frame in zip(into.numpy(), frames, strict=True):
        for plane in range(3):
            np.copyto(planes[plane], np.asarray(frame[plane]))
    return into


def reporting(compute: Callable[[list[vs.VideoFrame]], vs.VideoFrame]) -> Selector:
    """A selector out of a function of frames: what it raises becomes the frame's one-line error."""

    def selector(n: int, f: vs.VideoFrame | list[vs.VideoFrame], source: Any) -> vs.VideoFrame | dict[str, str]:
        try:
            return compute(f if isinstance(f, list) else [f])
        except DslnetError as error:
            return {"error": str(error)}
        except Exception as error:
            _log.debug("frame %d (from %s) failed", n, source, exc_info=True)
            return {"error": f"{type(error).__name__}: {error}".replace("\n", " ")}

    return selector

"""The functions that ``core.dslnet.Window`` calls: frames in, a frame out, errors as one line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import vapoursynth as vs

from vsdslnet.color.h273 import Primaries, Transfer
from vsdslnet.errors import DslnetError
from vsdslnet.options import ConvertOptions, LookOptions
from vsdslnet.plugin.color_tags import ColorOverrides, guess_tags, read_tags
from vsdslnet.plugin.memory import MemoryReturn

if TYPE_CHECKING:
    from torch import Tensor

    from vsdslnet.inference.converter import HdrFrame

__all__ = [
    "SDR_FRAME",
    "Selector",
    "hdr_selector",
    "look_selector",
    "reporting",
    "tag_selector",
    "torch_selector",
    "window_tensor",
]

_log = logging.getLogger(__name__)
_memory = MemoryReturn()

SDR_FRAME = "DSLNetSdr"

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

        converter = Converter.load(settings)
        if window is None:
            window = converter.window_memory(frames[0].height, frames[0].width)
        window_tensor(frames, into=window)
        return _hdr_frame(frames[len(frames) // 2], converter(window, overwrite=True))

    return torch_selector(convert)


def look_selector(look: LookOptions) -> Selector:
    """Gives what a Window of :func:`hdr_selector` with the default look made another look.

    Its frames carry the SDR frame they came from in the property ``DSLNetSdr``, as ``std.ClipToProp`` puts it there.
    """

    def convert(frames: list[vs.VideoFrame]) -> vs.VideoFrame:
        from vsdslnet.inference.converter import looked

        network = frames[0]
        sdr: Any = network.props[SDR_FRAME]
        return _hdr_frame(network, looked(window_tensor([network])[0], window_tensor([sdr])[0], look))

    return torch_selector(convert)


def _hdr_frame(like: vs.VideoFrame, result: HdrFrame) -> vs.VideoFrame:
    hdr = like.copy()
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


def window_tensor(frames: list[vs.VideoFrame], *, into: Tensor | None = None) -> Tensor:
    """RGBS frames of one size as (frames, 3, H, W) fp32, in a new tensor or the one given."""
    import torch

    from vsdslnet.inference.cpu.lanes import each_in_lanes

    window = torch.empty(len(frames), 3, frames[0].height, frames[0].width) if into is None else into
    there = window.numpy()

    def copy(at: tuple[int, int]) -> None:
        np.copyto(there[at], np.asarray(frames[at[0]][at[1]]))

    planes = [(frame, plane) for frame in range(len(frames)) for plane in range(3)]
    # A window of 1080p is 119 MiB: several cores are several times as fast.
    each_in_lanes(copy, planes)
    return window


def torch_selector(compute: Callable[[list[vs.VideoFrame]], vs.VideoFrame]) -> Selector:
    """A selector out of a function of frames that computes with torch; what it raises is the frame's one-line error."""

    def loaded(frames: list[vs.VideoFrame]) -> vs.VideoFrame:
        _load_torch()
        return compute(frames)

    return reporting(loaded)


def _load_torch() -> None:
    """Import torch on a thread of Python's own, for good.

    A thread of VapourSynth's has a Python state for the length of a call. Torch's bindings (pybind11, up to torch 2.11
    at least) remember the state that imported them for that thread, and later crash on it: "double free or corruption".
    """
    if "torch" not in sys.modules:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(import_module, "torch").result()


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

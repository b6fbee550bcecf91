"""Failures injected at every step: one line for the frame they hit, and the clip goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import vapoursynth as vs
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from plugin_tests.plugin.clips import planes, same, textured
from plugin_tests.reliability.figures import Figure, Options, none_of
from plugin_tests.small_network import save_small_network
from vsdslnet.inference import converter
from vsdslnet.network.side_by_side import on_this_thread
from vsdslnet.options import BackendOptions

__all__ = ["measure"]

NO_MEMORY = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"
_LENGTH = 5
_FRAME = 2


class _Steps(TorchDispatchMode):
    """Counts PyTorch's operations and fails from number ``first`` on, ``times`` times."""

    def __init__(self, first: int, times: float, error: Callable[[], Exception]) -> None:
        super().__init__()
        self.count, self._first, self._left, self._error = 0, first, times, error

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """One operation."""
        step, self.count = self.count, self.count + 1
        if step >= self._first and self._left > 0:
            self._left -= 1
            raise self._error()
        return func(*args, **(kwargs or {}))


class _Backend:
    """A backend whose next call runs under ``steps``."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.radius_frames, self.description, self.base = real.radius_frames, real.description, real.base
        self.steps: _Steps | None = None

    def __call__(self, window: Tensor) -> Tensor:
        steps, self.steps = self.steps, None
        if steps is None:
            out: Tensor = self._real(window)
            return out
        # A mode is one thread's, so that thread does all the work; what a lane raises is tested with the lanes.
        streamed = self._real._streamed
        everywhere, streamed.everywhere = streamed.everywhere, on_this_thread
        try:
            with steps:
                out = self._real(window)
        finally:
            streamed.everywhere = everywhere
        return out


def measure(options: Options) -> list[Figure]:
    """Memory that runs out once or for good and other errors, at each step; sources and selectors that fail."""
    model = str(save_small_network(options.folder / "failures.safetensors", tiny=True))
    source = textured(vs.core, vs.YUV420P8, width=24, height=16, length=_LENGTH)
    # RGB: the limiter of YUV keeps frames, and a kept frame asks no backend.
    clip = vs.core.dslnet.Convert(source, model=model, precision="fp32", format=vs.RGB48)
    clip.std.SetVideoCache(mode=0)
    settings = BackendOptions(model=model, precision="fp32")
    with clip.get_frame(_FRAME) as frame:
        expected = planes(frame)
    backend = _Backend(converter._backends[settings])
    converter._backends[settings] = backend  # type: ignore[assignment]
    try:
        backend.steps = counting = _Steps(1 << 30, 0, RuntimeError)
        clip.get_frame(_FRAME).close()
        steps = range(0, counting.count, 40 if options.quick else 1)
        return [
            _at_each(clip, backend, steps, expected, 1, lambda: RuntimeError(NO_MEMORY), "memory runs out once"),
            _at_each(clip, backend, steps, expected, 1e9, lambda: MemoryError(), "memory runs out for good"),
            _at_each(clip, backend, steps, expected, 1, lambda: RuntimeError("a\nbug"), "another error"),
            _sources(source, model),
            _selectors(),
        ]
    finally:
        converter._backends[settings] = backend._real


def _at_each(
    clip: Any, backend: _Backend, steps: range, expected: Any, times: float, error: Callable[[], Exception], what: str
) -> Figure:
    """Fail at each step in turn: the frame comes right all the same or fails in one line; the next is right."""
    failures = []
    refused = 0
    for step in steps:
        backend.steps = _Steps(step, times, error)
        try:
            with clip.get_frame(_FRAME) as frame:
                if not _near(planes(frame), expected):
                    failures.append(f"step {step}: another picture")
        except vs.Error as caught:
            refused += 1
            if fault := _fault(str(caught), _FRAME):
                failures.append(f"step {step}: {fault}")
        with clip.get_frame(_FRAME) as frame:
            if not same(planes(frame), expected):
                failures.append(f"step {step}: the next frame differs")
    words = f"steps of the backend ({len(steps) - refused} frames saved, {refused} refused)"
    return none_of(f"{what}: the frame is right or refused in one line, the next is right", failures, len(steps), words)


def _near(found: Any, expected: Any) -> bool:
    """Smaller strips may round otherwise: within 2 of 65,535."""
    return all(np.abs(a.astype(np.int64) - b.astype(np.int64)).max() <= 2 for a, b in zip(found, expected, strict=True))


def _fault(text: str, n: int) -> str:
    if "\n" in text:
        return f"more than one line: {text!r:.150}"
    return "" if text.startswith(f"dslnet: frame {n}: ") else f"says not which frame: {text:.150}"


def _sources(source: Any, model: str) -> Figure:
    """A source that fails on frame k: exactly the frames whose windows need it fail, with its words."""
    failures = []
    bad_frames = range(1, _LENGTH)  # opening a script looks at frame 0
    for bad in bad_frames:

        def read(n: int, f: vs.VideoFrame, bad: int = bad) -> vs.VideoFrame:
            if n == bad:
                raise RuntimeError("bad sector")
            return f

        clip = vs.core.dslnet.Convert(vs.core.std.ModifyFrame(source, source, read), model=model, precision="fp32")
        for n in range(_LENGTH):
            text = ""
            try:
                clip.get_frame(n).close()
            except vs.Error as error:
                text = str(error)
            if (abs(n - bad) <= 2) != ("bad sector" in text):
                failures.append(f"source frame {bad}, output frame {n}: {text:.150!r}")
    words = "a source fails on one frame: so do the frames that need it, no others"
    return none_of(words, failures, len(bad_frames), "sources")


def _selectors() -> Figure:
    """Whatever a selector does, its frame is an error of one line and the next frame comes."""
    grey = vs.core.std.BlankClip(format=vs.GRAYS, width=16, height=16, length=3)
    other = vs.core.std.BlankClip(format=vs.GRAY8, width=16, height=16).get_frame(0)

    def raising(error: BaseException) -> Callable[..., Any]:
        def selector(n: int, f: Any, source: Any) -> Any:
            if n == 1:
                raise error
            return f[1]

        return selector

    def returning(value: Any) -> Callable[..., Any]:
        return lambda n, f, source: value if n == 1 else f[1]

    selectors = [
        *(raising(error) for error in (ValueError("two\nlines"), MemoryError(), KeyError(), RecursionError("deep"))),
        *(returning(value) for value in (None, 3, "text", {}, {"error": "a\nb"}, {"val": grey}, [], other, b"\xff")),
    ]
    failures = []
    for number, selector in enumerate(selectors):
        clip = vs.core.dslnet.Window(grey, selector, 1)
        try:
            clip.get_frame(1).close()
            failures.append(f"selector {number}: no error")
        except vs.Error as error:
            if fault := _fault(str(error), 1):
                failures.append(f"selector {number}: {fault}")
        clip.get_frame(2).close()
    words = "selectors that raise or return no frame are errors of one line"
    return none_of(words, failures, len(selectors), "selectors")

"""The CUDA backend: whole frames, one after the other on the device, while others are on their way there and back.

Three streams, frame after frame on each: one for what arrives, one that computes (a frame fills the device) and one
for what leaves. Each hands over in memory of its own, and events say when that may be overwritten. For each size of
frames the first one warms up: it finds in how many bands the memory there is holds the activations, measures which form
of each layer is fastest, and records everything as a CUDA graph, so that later frames cost one launch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from vsdslnet.errors import BackendError
from vsdslnet.inference.backend import is_out_of_memory
from vsdslnet.inference.cuda.bands import MAX_BANDS, Band, bands_of, least_bands
from vsdslnet.inference.cuda.choice import choose_forms
from vsdslnet.inference.cuda.device import Device, Event
from vsdslnet.inference.cuda.motion import choose_arithmetic
from vsdslnet.inference.cuda.network import DeviceNetwork
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion.arithmetic import DEVICE, Arithmetic
from vsdslnet.network.motion.compensation import compensate_on_device_

__all__ = ["CudaBackend"]

_log = logging.getLogger(__name__)

_SIZES = 2
"""Sizes of frames that are kept ready; a LUT's key frames and a preview come in other sizes than the film."""

Shape = tuple[int, ...]


class CudaBackend:
    """Runs DSLNet on a CUDA device; any number of threads may call it at once. Made for one network and precision."""

    def __init__(
        self, network: DSLNet, device: Device, *, dtype: torch.dtype, tile: tuple[int, int] | None = None
    ) -> None:
        self.radius_frames = network.config.radius
        self.base = network.config.base
        self.description = f"torch {device.device} {str(dtype).removeprefix('torch.')}"
        self._device = device
        self._motion_compensated = network.config.motion_compensated
        self._tile_rows = None if tile is None else tile[1]
        self._turn = threading.Lock()
        """Held while work is handed to the computing stream: its order is the order of frames."""
        self._ready: OrderedDict[Shape, _Size] = OrderedDict()
        self._known = threading.Lock()
        try:
            self._network = DeviceNetwork(network, device.device, dtype)
            self._arriving, self._computing, self._leaving = (device.stream() for _ in range(3))
        except (MemoryError, RuntimeError) as error:
            raise self._failure(error) from error

    def window_memory(self, shape: Shape) -> Tensor:
        """See :class:`~vsdslnet.inference.backend.Backend`: the device reads pinned memory itself."""
        try:
            return self._device.pinned(shape)
        except (MemoryError, RuntimeError) as error:
            raise self._failure(error) from error

    @torch.inference_mode()
    def __call__(self, window: Tensor) -> Tensor:
        """See :class:`~vsdslnet.inference.backend.Backend`; the window itself is left as it is."""
        try:
            return self._rendered(window)
        except (MemoryError, RuntimeError) as error:
            raise self._failure(error) from error

    def _rendered(self, window: Tensor) -> Tensor:
        size = self._size(tuple(window.shape))
        here = window if self._device.is_pinned(window) else self._device.pinned(size.shape).copy_(window)
        picture = self._device.pinned(size.shape[1:])  # the caller keeps it
        with self._turn:
            if size.taken is not None:
                self._arriving.wait(size.taken)
            self._arriving.submit(lambda: _start_copy(size.arrived, here))
            self._computing.wait(self._arriving.record())
            run = size.run
            if run is None:
                self._computing.submit(lambda: _start_copy(size.window, size.arrived))
                run = size.run = self._warmed_up(size)
            self._computing.submit(lambda: _start_copy(size.window, size.arrived))
            size.taken = self._computing.record()
            self._computing.submit(run)
            if size.left is not None:
                self._computing.wait(size.left)
            self._computing.submit(lambda: _start_copy(size.leaving, size.picture))
            self._leaving.wait(self._computing.record())
            self._leaving.submit(lambda: _start_copy(picture, size.leaving))
            left = size.left = self._leaving.record()
        left.synchronize()
        return picture

    def _size(self, shape: Shape) -> _Size:
        """What frames of a shape need, made on first sight; of the sizes seen the last few are kept."""
        with self._known:
            size = self._ready.get(shape)
            if size is None:
                size = self._ready[shape] = _Size(shape, self._device.device)
            self._ready.move_to_end(shape)
            while len(self._ready) > _SIZES:
                self._ready.popitem(last=False)
            return size

    def _forget_others(self, size: _Size) -> None:
        with self._known:
            for shape in [shape for shape, other in self._ready.items() if other is not size]:
                del self._ready[shape]
        self._device.release()

    def _warmed_up(self, size: _Size) -> Callable[[], None]:
        """Everything that happens once a size; returns what makes a picture. The frame in ``size.window`` is lost."""
        started = time.perf_counter()
        height, width = size.shape[-2:]
        self._computing.record().synchronize()
        work, bands = self._in_memory(size)
        how = "as a graph"
        try:
            run = self._device.capture(self._computing, work)
        except RuntimeError as error:
            # What can be run can nearly always be recorded; if not, frames cost more launches.
            self._device.release()
            run, how = work, f"without a graph ({_first_line(error)})"
        seconds = time.perf_counter() - started
        _log.info("%s: %dx%d warmed up in %.1f s: bands: %d, %s", self.description, width, height, seconds, bands, how)
        return run

    def _in_memory(self, size: _Size) -> tuple[Callable[[], None], int]:
        """The work on a frame, after it has been done once, in as few bands as there is memory for."""
        height, width = size.shape[-2:]
        if self._tile_rows is None:
            bands = least_bands(height=height, width=width, network=self._network, free_bytes=self._device.free_bytes())
        else:
            bands = min(MAX_BANDS, -(-height // self._tile_rows))
        forgotten = False
        while True:
            rows = bands_of(height, bands)
            work = self._work(size, rows)
            try:
                self._computing.submit(lambda rows=rows: self._choose_forms(size, rows))  # type: ignore[misc]
                self._computing.record().synchronize()
                self._device.release()  # what other forms took
                self._computing.submit(work)
                self._computing.record().synchronize()
                self._device.release()  # a graph has memory of its own
                return work, len(rows)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if not forgotten:
                    self._forget_others(size)
                    forgotten = True
                elif len(rows) < len(bands_of(height, 2 * bands)):
                    self._device.release()
                    bands *= 2
                    _log.info("%s: out of memory, %dx%d in %d bands", self.description, width, height, bands)
                else:
                    raise

    def _choose_forms(self, size: _Size, rows: list[Band]) -> None:
        if not size.chosen:
            top, bottom = rows[0]
            with self._arithmetic():
                if self._motion_compensated:
                    size.motion = choose_arithmetic(size.window)
                chosen = choose_forms(self._network, size.window[..., top:bottom, :], self._device)
            _log.info("%s: %s", self.description, chosen or "one form of each layer")
            size.chosen = True

    def _work(self, size: _Size, rows: list[Band]) -> Callable[[], None]:
        """From ``size.window``, which is moved, to ``size.picture``: a fixed row of operations that never asks."""

        def work() -> None:
            with self._arithmetic():
                compute()

        def compute() -> None:
            window = size.window
            if self._motion_compensated:
                compensate_on_device_(window, size.motion)
            if len(rows) == 1:
                size.picture.copy_(self._network.render(window))
                return
            conditions = self._network.conditions(window)
            for top, bottom in rows:
                size.picture[:, top:bottom] = self._network.render_band(window, conditions, top, bottom)

        return work

    def _arithmetic(self) -> AbstractContextManager[None]:
        return self._device.arithmetic(exact=self._network.dtype == torch.float32)

    def _failure(self, error: BaseException) -> BackendError:
        if is_out_of_memory(error):
            cure = "close other programs on the device, lower num_streams, set tile or convert at a smaller size"
            return BackendError(f"{self.description}: out of memory: {_first_line(error)}; {cure}")
        return BackendError(f"{self.description}: {_first_line(error)}")


class _Size:
    """What all frames of a shape (2T+1, 3, H, W) share on the device."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        self.shape = shape
        self.chosen = False
        self.motion: Arithmetic = DEVICE
        self.run: Callable[[], None] | None = None
        self.arrived, self.window = (torch.empty(shape, device=device) for _ in range(2))
        self.picture, self.leaving = (torch.empty(shape[1:], device=device) for _ in range(2))
        self.taken: Event | None = None
        """When ``arrived`` was read last, and may be overwritten."""
        self.left: Event | None = None
        """When ``leaving`` was read last."""


def _start_copy(there: Tensor, here: Tensor) -> None:
    there.copy_(here, non_blocking=True)


def _first_line(error: BaseException) -> str:
    """CUDA's errors go on with advice on debugging, and with what other processes hold."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.partition(". GPU ")[0] if is_out_of_memory(error) else line

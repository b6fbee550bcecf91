"""The CUDA backend: whole frames, one after the other on the device, while others are on their way there and back.

A frame has a slot: pinned memory, a stream of its own for its way to the device and back, and memory there. What is
computed runs on one stream, frame after frame, for one frame fills the device; events say when a frame has arrived and
when its picture can leave. For each size of frames the first one warms up: it finds in how many bands the memory there
is holds the activations, measures which form of each layer is fastest, and records everything as a CUDA graph, so that
later frames cost one launch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vsdslnet.errors import BackendError
from vsdslnet.inference.backend import is_out_of_memory
from vsdslnet.inference.cuda.bands import MAX_BANDS, Band, bands_of, least_bands
from vsdslnet.inference.cuda.choice import choose_forms
from vsdslnet.inference.cuda.device import Device, Stream
from vsdslnet.inference.cuda.network import DeviceNetwork
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion.compensation import compensated_on_device

__all__ = ["CudaBackend"]

_log = logging.getLogger(__name__)

_SLOTS = 3
"""Frames of a size under way: one arrives, one is computed, one leaves."""
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
            self._stream = device.stream()
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
        slot = size.take()
        try:
            slot.host.copy_(window)
            slot.stream.submit(lambda: _start_copy(slot.window, slot.host))
            arrived = slot.stream.record()
            with self._turn:
                self._stream.wait(arrived)
                self._stream.submit(lambda: _start_copy(size.window, slot.window))
                run = size.run or self._warmed_up(size)
                self._stream.submit(run)
                self._stream.submit(lambda: _start_copy(slot.picture, size.picture))
                computed = self._stream.record()
            # Not the slot's: the caller keeps it.
            picture = self._device.pinned(tuple(slot.picture.shape))
            slot.stream.wait(computed)
            slot.stream.submit(lambda: _start_copy(picture, slot.picture))
            slot.stream.record().synchronize()
            return picture
        finally:
            size.give_back(slot)

    def _size(self, shape: Shape) -> _Size:
        """What frames of a shape need, made on first sight; of the sizes seen the last few are kept."""
        with self._known:
            size = self._ready.get(shape)
            if size is None:
                size = self._ready[shape] = _Size(shape, self._device)
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
        """Everything that happens once a size; ``size.window`` holds a frame. Returns what computes a picture."""
        started = time.perf_counter()
        height, width = size.shape[-2:]
        self._stream.record().synchronize()
        work, bands = self._in_memory(size)
        how = "as a graph"
        try:
            run = self._device.capture(self._stream, work)
        except RuntimeError as error:
            # What can be run can nearly always be recorded; if not, frames cost more launches.
            self._device.release()
            run, how = work, f"without a graph ({_first_line(error)})"
        size.run = run
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
                self._stream.submit(lambda rows=rows: self._choose_forms(size, rows))  # type: ignore[misc]
                self._stream.submit(work)
                self._stream.record().synchronize()
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
            chosen = choose_forms(self._network, size.window[..., top:bottom, :], self._device)
            _log.info("%s: %s", self.description, chosen or "one form of each layer")
            size.chosen = True

    def _work(self, size: _Size, rows: list[Band]) -> Callable[[], None]:
        """From ``size.window`` to ``size.picture``: a fixed row of operations that never asks the device."""

        def work() -> None:
            with self._device.arithmetic(exact=self._network.dtype == torch.float32):
                compute()

        def compute() -> None:
            window = compensated_on_device(size.window) if self._motion_compensated else size.window
            if len(rows) == 1:
                size.picture.copy_(self._network.render(window))
                return
            conditions = self._network.conditions(window)
            for top, bottom in rows:
                size.picture[:, top:bottom] = self._network.render_band(window, conditions, top, bottom)

        return work

    def _failure(self, error: BaseException) -> BackendError:
        if is_out_of_memory(error):
            cure = "close other programs on the device, lower num_streams, set tile or convert at a smaller size"
            return BackendError(f"{self.description}: out of memory: {_first_line(error)}; {cure}")
        return BackendError(f"{self.description}: {_first_line(error)}")


@dataclass(frozen=True)
class _Slot:
    """What one frame under way has to itself."""

    host: Tensor
    window: Tensor
    picture: Tensor
    stream: Stream


class _Size:
    """What all frames of a shape (2T+1, 3, H, W) share, and their slots."""

    def __init__(self, shape: Shape, device: Device) -> None:
        self.shape = shape
        self.chosen = False
        self.run: Callable[[], None] | None = None
        self.window = torch.empty(shape, device=device.device)
        self.picture = torch.empty(shape[1:], device=device.device)
        self._device = device
        self._change = threading.Condition()
        self._idle: list[_Slot] = []
        self._made = 0

    def take(self) -> _Slot:
        """A slot that nobody uses: an idle one, a new one while there are few, else the next to be given back."""
        with self._change:
            self._change.wait_for(lambda: self._idle or self._made < _SLOTS)
            if self._idle:
                return self._idle.pop()
            self._made += 1
        try:
            return self._new()
        except (MemoryError, RuntimeError):
            with self._change:
                self._made -= 1
                if not self._made:
                    raise
                # There is memory for fewer: wait for one of those.
                self._change.wait_for(lambda: self._idle)
                return self._idle.pop()

    def give_back(self, slot: _Slot) -> None:
        """For the next frame."""
        with self._change:
            self._idle.append(slot)
            self._change.notify()

    def _new(self) -> _Slot:
        there = self._device.device
        return _Slot(
            self._device.pinned(self.shape),
            torch.empty(self.shape, device=there),
            torch.empty(self.shape[1:], device=there),
            self._device.stream(),
        )


def _start_copy(there: Tensor, here: Tensor) -> None:
    there.copy_(here, non_blocking=True)


def _first_line(error: BaseException) -> str:
    """CUDA's errors go on with advice on debugging."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

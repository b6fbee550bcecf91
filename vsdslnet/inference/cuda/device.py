"""The seam to CUDA: streams, events, pinned memory and graphs; everything else of this backend is plain PyTorch.

Work is given to a stream as a function, so that a test can put a device in CUDA's place that runs each piece as late
as the order of events allows, on a machine without any.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["CudaDevice", "Device", "Event", "Stream"]

Work = Callable[[], None]


class Event(Protocol):
    """A place in a stream."""

    def synchronize(self) -> None:
        """Wait until the stream has come here."""


class Stream(Protocol):
    """Work that is done in order, beside that of other streams."""

    def submit(self, work: Work) -> None:
        """Hand over operations on the device, or copies from and to it that do not block."""

    def record(self) -> Event:
        """The place behind everything submitted so far."""

    def wait(self, event: Event) -> None:
        """Go on only when another stream has come to ``event``."""


class Device(Protocol):
    """Where a network computes."""

    device: torch.device

    def stream(self) -> Stream:
        """A new stream."""
        ...

    def pinned(self, shape: tuple[int, ...]) -> Tensor:
        """fp32 memory of the host's that copies need not block for."""
        ...

    def is_pinned(self, tensor: Tensor) -> bool:
        """Whether copies from a tensor need not block."""
        ...

    def free_bytes(self) -> int:
        """What could be allocated now."""
        ...

    def release(self) -> None:
        """Give back memory that nothing uses, after an allocation failed."""
        ...

    def arithmetic(self, *, exact: bool) -> AbstractContextManager[None]:
        """How convolutions are computed meanwhile: always the same way, and not in TF32 if ``exact``."""
        ...

    def capture(self, stream: Stream, work: Work) -> Work:
        """Record what ``work`` does to memory that stays, without doing it; the result does it all again."""
        ...

    def seconds(self, work: Work) -> float:
        """How long the device takes for some work once it has been done before; nothing else may be under way."""
        ...


class CudaDevice:
    """One CUDA device."""

    def __init__(self, index: int) -> None:
        self.device = torch.device("cuda", index)

    def stream(self) -> Stream:
        """See :class:`Device`."""
        return _CudaStream(self.device)

    def pinned(self, shape: tuple[int, ...]) -> Tensor:
        """See :class:`Device`; PyTorch keeps what is freed for the next that asks."""
        return torch.empty(shape, pin_memory=True)

    def is_pinned(self, tensor: Tensor) -> bool:
        """See :class:`Device`."""
        return tensor.is_pinned()

    def free_bytes(self) -> int:
        """See :class:`Device`; with what PyTorch holds and does not use."""
        free, _ = torch.cuda.mem_get_info(self.device)
        reserved = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return free + reserved

    def release(self) -> None:
        """See :class:`Device`."""
        gc.collect()  # graphs that failed while they were captured hold their memory
        with torch.cuda.device(self.device):
            torch.cuda.empty_cache()

    def arithmetic(self, *, exact: bool) -> AbstractContextManager[None]:
        """See :class:`Device`; trying all of cuDNN's ways would end in other bits in another process."""
        flags: AbstractContextManager[None] = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=not exact
        )
        return flags

    def capture(self, stream: Stream, work: Work) -> Work:
        """See :class:`Device`."""
        assert isinstance(stream, _CudaStream)
        graph = torch.cuda.CUDAGraph()
        # Other frames are uploaded meanwhile, by other threads: only this one's calls are watched.
        with (
            torch.cuda.device(self.device),
            torch.cuda.graph(graph, stream=stream.cuda, capture_error_mode="thread_local"),
        ):
            work()
        return graph.replay

    def seconds(self, work: Work, repeats: int = 5) -> float:
        """See :class:`Device`: the least of a few times, after one that is not counted."""
        best = float("inf")
        with torch.cuda.device(self.device):
            work()
            for _ in range(repeats):
                start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
                start.record()
                work()
                end.record()
                end.synchronize()
                best = min(best, start.elapsed_time(end) / 1000)
        return best


class _CudaStream:
    def __init__(self, device: torch.device) -> None:
        self.cuda = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def submit(self, work: Work) -> None:
        """See :class:`Stream`."""
        with torch.cuda.stream(self.cuda):
            work()

    def record(self) -> Event:
        """See :class:`Stream`; whoever waits for it sleeps, so that an encoder has the core."""
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record(self.cuda)
        return event

    def wait(self, event: Event) -> None:
        """See :class:`Stream`."""
        assert isinstance(event, torch.cuda.Event)
        self.cuda.wait_event(event)

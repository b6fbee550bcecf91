"""The PyTorch engine: the streamed network on a CPU or a CUDA device."""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.errors import EngineError
from vsdslnet.inference.cpu.lanes import frame_under_way
from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.inference.cpu.strip_network import Band, StreamedDSLNet
from vsdslnet.inference.cpu.tiling import FramePlan, cpu_rows, plan_frame
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion import compensate_
from vsdslnet.network.pixel_blocks import block_count

__all__ = ["TorchEngine"]

_CPU_BUDGET_BYTES = 2 << 30
_CUDA_SHARE = 0.5
"""Part of a CUDA device's free memory that one frame's activations may take; streams share the rest."""


class TorchEngine:
    """Runs DSLNet in row strips; holds weights only, so any number of threads may call it at once.

    On CUDA every calling thread has a stream of its own, frames cross in pinned memory without blocking,
    and layers run as one strip if memory allows. That path was written without a CUDA device at hand: its
    plan, dtypes and fall-backs are tested on a CPU, its kernels were not run.
    """

    def __init__(
        self,
        network: DSLNet,
        *,
        target: Target | None = None,
        tile: tuple[int, int] | None = None,
    ) -> None:
        self._target = target or Target(torch.device("cpu"), torch.float32)
        self._streamed = StreamedDSLNet(network, self._target)
        scale = self._streamed.scale
        self._tile = None if tile is None else (block_count(tile[0], scale), block_count(tile[1], scale))
        self.radius_frames = network.config.radius
        self.base = network.config.base
        self._motion_compensated = network.config.motion_compensated
        self.description = f"torch {self._target.device} {str(self._target.dtype).removeprefix('torch.')}"

    def __call__(self, window: Tensor) -> Tensor:
        """See :class:`~vsdslnet.inference.backend.Engine`."""
        plan: FramePlan | None = self.plan(width=window.shape[-1], height=window.shape[-2])
        if self._motion_compensated and self._target.device.type == "cpu":
            self._align(window)
        while plan is not None:
            try:
                return self._render(window, plan)
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise EngineError(f"{self.description}: {error}") from error
            plan = plan.smaller()
        height, width = window.shape[-2:]
        raise EngineError(
            f"{self.description}: out of memory for a {width}x{height} frame even in the smallest tiles;"
            " close other programs, lower num_streams or convert at a smaller size"
        )

    def plan(self, *, width: int, height: int) -> FramePlan:
        """How a frame of this size, in pixels, is going to be cut, in blocks of the network's scale."""
        width, height = (block_count(side, self._streamed.scale) for side in (width, height))
        # A third of the strips that are alive at once is fp32 in any precision.
        bytes_per_position = self._streamed.config.features * (2 * self._target.dtype.itemsize + 4) // 3
        return plan_frame(
            width=width,
            height=height,
            rows=cpu_rows(width, height) if self._target.device.type == "cpu" else height,
            budget_bytes=self._budget_bytes(),
            bytes_per_pixel=bytes_per_position,
            tile=self._tile,
        )

    def _budget_bytes(self) -> int:
        if self._target.device.type == "cuda":
            free_bytes, _ = torch.cuda.mem_get_info(self._target.device)
            return int(free_bytes * _CUDA_SHARE)
        return _CPU_BUDGET_BYTES

    @torch.inference_mode()
    def _align(self, window: Tensor) -> None:
        # Not in the attempts at a plan, which would move the same frames twice.
        try:
            compensate_(window)
        except (MemoryError, RuntimeError) as error:
            raise EngineError(f"{self.description}: {error}") from error

    @torch.inference_mode()
    def _render(self, window: Tensor, plan: FramePlan) -> Tensor:
        if self._target.device.type == "cuda":
            return self._render_cuda(window, plan)
        return self._render_here(window, plan)

    def _render_here(self, window: Tensor, plan: FramePlan) -> Tensor:
        out = torch.empty(window.shape[1:], dtype=torch.float32, device=window.device)
        with frame_under_way():
            conditions = self._streamed.conditions(window, plan.rows)
            for left, right in plan.bands:
                self._streamed.render(window, conditions, Band(left, right, plan.rows), out)
        return out

    def _render_cuda(self, window: Tensor, plan: FramePlan) -> Tensor:
        stream = torch.cuda.Stream(self._target.device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            there = window.pin_memory().to(self._target.device, non_blocking=True)
            if self._motion_compensated:
                compensate_(there)
            out = self._render_here(there, plan)
            here = torch.empty(out.shape, dtype=out.dtype, pin_memory=True)
            here.copy_(out, non_blocking=True)
        stream.synchronize()
        return here


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: PyTorch has a type for it on CUDA only, and words everywhere else."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return any(words in text for words in ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc"))

"""The CPU backend: the network in strips, on all cores."""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.errors import BackendError
from vsdslnet.inference.backend import is_out_of_memory
from vsdslnet.inference.cpu.lanes import on_backend_thread
from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.inference.cpu.strip_network import Band, StreamedDSLNet
from vsdslnet.inference.cpu.tiling import Tiling, cpu_rows, tiling_for
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion.compensation import compensate_
from vsdslnet.network.pixel_blocks import block_count

__all__ = ["CpuBackend"]

_CPU_BUDGET_BYTES = 2 << 30


class CpuBackend:
    """Runs DSLNet in row strips; holds weights only, so any number of threads may call it at once."""

    def __init__(
        self,
        network: DSLNet,
        *,
        target: Target | None = None,
        tile: tuple[int, int] | None = None,
    ) -> None:
        self._target = target or Target(torch.device("cpu"), torch.float32)
        self._streamed = StreamedDSLNet(network, self._target)
        scale = self._streamed.config.scale
        self._tile = None if tile is None else (block_count(tile[0], scale), block_count(tile[1], scale))
        self.radius_frames = network.config.radius
        self.base = network.config.base
        self._motion_compensated = network.config.motion_compensated
        self.description = f"torch {self._target.device} {str(self._target.dtype).removeprefix('torch.')}"

    def __call__(self, window: Tensor) -> Tensor:
        """See :class:`~vsdslnet.inference.backend.Backend`."""
        return on_backend_thread(lambda: self._whole(window))

    def window_memory(self, shape: tuple[int, ...]) -> Tensor:
        """See :class:`~vsdslnet.inference.backend.Backend`."""
        return torch.empty(shape)

    def _whole(self, window: Tensor) -> Tensor:
        tiling: Tiling | None = self.tiling(width=window.shape[-1], height=window.shape[-2])
        if self._motion_compensated:
            self._align(window)
        while tiling is not None:
            try:
                return self._render(window, tiling)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise BackendError(f"{self.description}: {error}") from error
            tiling = tiling.smaller()
        height, width = window.shape[-2:]
        raise BackendError(
            f"{self.description}: out of memory for a {width}x{height} frame even in the smallest tiles;"
            " close other programs, lower num_streams or convert at a smaller size"
        )

    def tiling(self, *, width: int, height: int) -> Tiling:
        """How a frame of this size, in pixels, is going to be cut, in blocks of the network's scale."""
        width, height = (block_count(side, self._streamed.config.scale) for side in (width, height))
        # A third of the strips that are alive at once is fp32 in any precision.
        bytes_per_position = self._streamed.config.features * (2 * self._target.dtype.itemsize + 4) // 3
        return tiling_for(
            width=width,
            height=height,
            rows=cpu_rows(width, height),
            budget_bytes=_CPU_BUDGET_BYTES,
            bytes_per_pixel=bytes_per_position,
            tile=self._tile,
        )

    @torch.inference_mode()
    def _align(self, window: Tensor) -> None:
        # Apart from the attempts at a tiling: a second one would move frames that are moved already.
        try:
            compensate_(window, self._streamed.everywhere)
        except (MemoryError, RuntimeError) as error:
            raise BackendError(f"{self.description}: {error}") from error

    @torch.inference_mode()
    def _render(self, window: Tensor, tiling: Tiling) -> Tensor:
        out = torch.empty(window.shape[1:], dtype=torch.float32, device=window.device)
        conditions = self._streamed.conditions(window, tiling.rows)
        for left, right in tiling.bands:
            self._streamed.render(window, conditions, Band(left, right, tiling.rows), out)
        return out

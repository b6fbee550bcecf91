"""DMFA's deformable convolution on a device: ``grid_sample`` and a product, or one Triton kernel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vsdslnet.inference.cuda import triton_kernels
from vsdslnet.network.dmfa import MAX_OFFSET_PX, DeformableConv

__all__ = ["DeviceDeformable", "FusedForm"]

_VALUES = 32
_VARIANTS = (64, 4), (128, 8), (32, 4)
"""Pixels and warps of a program."""


class DeviceDeformable(nn.Module):
    """A DeformableConv in one of its forms; positions and samples are fp32 in each."""

    def __init__(self, conv: DeformableConv, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype, self.chosen = dtype, "torch"
        forms: dict[str, nn.Module] = {"torch": conv}
        if triton_kernels.available():
            forms |= {f"triton-{pixels}-{warps}": FusedForm(conv, pixels, warps) for pixels, warps in _VARIANTS}
        self.forms = nn.ModuleDict(forms)

    def forward(self, frames: Tensor, offsets: Tensor) -> Tensor:
        """Frames (1, 3F, H, W) fp32, offsets in px (1, F*k*k*2, h, w) -> (1, C, h, w), channels-last."""
        y: Tensor = self.forms[self.chosen](frames, offsets)
        return y.to(self.dtype, memory_format=torch.channels_last)


class FusedForm(nn.Module):
    """Sampled and multiplied in one kernel; offsets may be of any dtype, held within reach or not."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: DeformableConv, pixels: int = 64, warps: int = 4) -> None:
        super().__init__()
        self.pixels, self.warps = pixels, warps
        self.frames, self.kernel = conv.frames, conv.weight.shape[-1]
        self.channels = len(conv.weight)
        values = conv.weight[0].numel() // conv.frames
        self.scale = round((values / (3 * self.kernel**2)) ** 0.5)
        self.values = -(-values // _VALUES) * _VALUES
        weight = conv.weight.new_zeros(conv.frames, self.values, triton_kernels.power_of_two(self.channels))
        weight[:, :values, : self.channels] = conv.weight.detach().flatten(1).t().reshape(conv.frames, values, -1)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", conv.bias.detach().clone())

    def forward(self, frames: Tensor, offsets: Tensor) -> Tensor:
        """See :meth:`DeviceDeformable.forward`."""
        kernels = triton_kernels.load()
        frames = frames.contiguous()
        height, width = frames.shape[-2:]
        rows, columns = offsets.shape[-2:]
        offsets = offsets.permute(0, 2, 3, 1).contiguous()
        out = frames.new_empty(1, rows, columns, self.channels)
        kernels.deformable[(-(-rows * columns // self.pixels),)](
            frames,
            offsets,
            self.weight,
            self.bias,
            out,
            height,
            width,
            columns,
            rows * columns,
            self.channels,
            MAX_OFFSET_PX,
            FRAMES=self.frames,
            KERNEL=self.kernel,
            SCALE=self.scale,
            VALUES=self.values,
            PIXELS=self.pixels,
            CHANNELS=self.weight.shape[-1],
            num_warps=self.warps,
            num_stages=1,  # more of them spill registers
        )
        return out.permute(0, 3, 1, 2)

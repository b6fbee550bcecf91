"""Large depthwise convolutions on a device in several forms, of which a warm-up chooses the fastest.

PyTorch's own kernels (and cuDNN's) run them at a few per cent of what a device can do. Each form computes the same
map: ``torch`` and ``torch-planes`` are PyTorch's, ``blocks`` a grouped dense convolution over 4x4 blocks
(:mod:`vsdslnet.inference.cpu.blockwise`), ``triton-N-S`` products with Toeplitz matrices, N rows at a
time in S stages (:mod:`vsdslnet.inference.cuda.kernels`).
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet.inference.cpu.blockwise import SIDE, block_weight, from_blocks, in_blocks
from vsdslnet.inference.cpu.strip_layers import rounded
from vsdslnet.inference.cuda import triton_kernels
from vsdslnet.network.blocks import DepthwiseConv

__all__ = ["BlockForm", "DeviceDepthwise", "Form", "ToeplitzForm", "TorchForm", "toeplitz_weight"]

MAX_TOEPLITZ_RADIUS = 8
_TILE = 16
_HALOED_TILE = 32
"""Inputs along a row that 16 outputs come from: 16 and a radius of 8 on both sides."""
_GROUPS, _TILES = 16, 8
"""Groups of rows, and tiles of 16 px along a row, that a program computes: 128 rows of a matrix product."""

_VARIANTS = {4: (1, 3), 2: (1,)}
"""Rows of outputs that share an input; and loads under way (1: through the first cache, more: past it)."""


class Form(Protocol):
    """One way of computing a depthwise convolution."""

    def __call__(self, x: Tensor, *, relu_in: bool = False, relu_out: bool = False) -> Tensor:
        """(1, C, H, W) channels-last, of any dtype -> the same in the form's; a ReLU may come before or behind."""
        ...


class TorchForm(nn.Module):
    """PyTorch's own operator, in channels-last or on planes: it has other kernels for either."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, layout: torch.memory_format = torch.channels_last) -> None:
        super().__init__()
        self.layout = layout
        self.register_buffer("weight", weight.contiguous(memory_format=layout))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor, *, relu_in: bool = False, relu_out: bool = False) -> Tensor:
        """See :class:`Form`."""
        x = x.to(self.weight.dtype, memory_format=self.layout)
        x = x.relu() if relu_in else x
        y = F.conv2d(x, self.weight, self.bias, padding=self.weight.shape[-1] // 2, groups=len(self.weight))
        y = y.relu_() if relu_out else y
        return y.contiguous(memory_format=torch.channels_last)


class BlockForm(nn.Module):
    """A grouped dense convolution over blocks of 4x4 pixels."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.groups = len(weight)
        self.register_buffer("weight", block_weight(weight).contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias.repeat_interleave(SIDE * SIDE))

    def forward(self, x: Tensor, *, relu_in: bool = False, relu_out: bool = False) -> Tensor:
        """See :class:`Form`."""
        height, width = x.shape[-2:]
        blocks = in_blocks(x.contiguous(memory_format=torch.channels_last), self.weight.dtype, relu=relu_in)
        y = F.conv2d(blocks, self.weight, self.bias, padding=self.weight.shape[-1] // 2, groups=self.groups)
        y = y.relu_() if relu_out else y
        return from_blocks(y, height, width).contiguous(memory_format=torch.channels_last)


class ToeplitzForm(nn.Module):
    """Products with Toeplitz matrices, in Triton."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, out_rows: int) -> None:
        super().__init__()
        self.kernel, self.out_rows = weight.shape[-1], out_rows
        # Three dimensions: of four, a module that is moved to channels-last would change the order.
        self.register_buffer("weight", toeplitz_weight(weight, out_rows).flatten(2))
        self.register_buffer("bias", bias.float())

    def forward(self, x: Tensor, *, relu_in: bool = False, relu_out: bool = False, stages: int = 1) -> Tensor:
        """See :class:`Form`."""
        kernels = triton_kernels.load()
        x = x.contiguous(memory_format=torch.channels_last)
        _, channels, height, width = x.shape
        rows = _whole(height, _GROUPS * self.out_rows)
        columns = _whole(width, _TILES * _TILE)
        in_rows, pitch = rows + self.kernel - 1, columns + _HALOED_TILE - _TILE
        planes = x.new_empty(channels, in_rows, pitch, dtype=self.weight.dtype)
        some = min(64, triton_kernels.power_of_two(channels))
        chunks = -(-channels // some)
        kernels.planes_of_pixels[(-(-pitch // 64), in_rows, chunks)](
            x,
            planes,
            height,
            width,
            channels,
            in_rows,
            pitch,
            TOP=self.kernel // 2,
            LEFT=MAX_TOEPLITZ_RADIUS,
            RELU=relu_in,
            PIXELS=64,
            CHANNELS=some,
        )
        out = x.new_empty(channels, rows, columns, dtype=self.weight.dtype)
        kernels.depthwise[(columns // (_TILES * _TILE), rows // (_GROUPS * self.out_rows), channels)](
            planes,
            self.weight,
            self.bias,
            out,
            in_rows,
            pitch // _TILE,
            rows,
            columns // _TILE,
            IN_ROWS=self.kernel + self.out_rows - 1,
            OUT_ROWS=self.out_rows,
            GROUPS=_GROUPS,
            TILES=_TILES,
            RELU=relu_out,
            num_warps=4,
            num_stages=stages,
        )
        del planes
        y = x.new_empty(1, height, width, channels, dtype=self.weight.dtype)
        kernels.pixels_of_planes[(-(-width // 64), height, chunks)](
            out, y, width, channels, rows, columns, PIXELS=64, CHANNELS=some
        )
        return y.permute(0, 3, 1, 2)


class _Staged(nn.Module):
    """A form with so many loads under way; others with more or fewer share its matrices."""

    def __init__(self, form: ToeplitzForm, stages: int) -> None:
        super().__init__()
        self.form, self.stages = form, stages

    def forward(self, x: Tensor, *, relu_in: bool = False, relu_out: bool = False) -> Tensor:
        """See :class:`Form`."""
        y: Tensor = self.form(x, relu_in=relu_in, relu_out=relu_out, stages=self.stages)
        return y


def toeplitz_weight(weight: Tensor, out_rows: int) -> Tensor:
    """Depthwise weight (C, 1, k, k), k up to 17 -> matrices (C, k + out_rows - 1, 32, out_rows * 16).

    Entry (row, column, r * 16 + x) is what input ``column`` (8 px left of the tile is 0) of an input row gives to
    output x of output row r: tap (row - r, column - x - 8 + k // 2), or 0.
    """
    kernel = weight.shape[-1]
    row, column, out, x = (torch.arange(n) for n in (kernel + out_rows - 1, _HALOED_TILE, out_rows, _TILE))
    down = (row[:, None, None, None] - out[None, None, :, None]).expand(-1, _HALOED_TILE, -1, _TILE)
    across = (column[None, :, None, None] - x[None, None, None, :] - MAX_TOEPLITZ_RADIUS + kernel // 2).expand_as(down)
    inside = (down >= 0) & (down < kernel) & (across >= 0) & (across < kernel)
    taps = weight.detach().cpu()[:, 0, down.clamp(0, kernel - 1), across.clamp(0, kernel - 1)] * inside
    return taps.flatten(-2).contiguous().to(weight.device)


class DeviceDepthwise(nn.Module):
    """A DepthwiseConv in one of its forms; PyTorch's until another is chosen."""

    def __init__(self, conv: DepthwiseConv, dtype: torch.dtype) -> None:
        super().__init__()
        weight = rounded(conv.weight.detach(), dtype).to(dtype)
        bias = weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.detach().to(dtype)
        kernel = weight.shape[-1]
        radius = kernel // 2
        self.channels, self.kernel, self.chosen = len(weight), kernel, "torch"
        forms: dict[str, nn.Module] = {"torch": TorchForm(weight, bias)}
        forms["torch-planes"] = TorchForm(weight, bias, torch.contiguous_format)
        if radius >= SIDE and radius % SIDE == 0:
            forms["blocks"] = BlockForm(weight, bias)
        if dtype != torch.float32 and radius <= MAX_TOEPLITZ_RADIUS and triton_kernels.available():
            for rows, variants in _VARIANTS.items():
                form = ToeplitzForm(weight, bias, rows)
                forms |= {f"triton-{rows}-{stages}": _Staged(form, stages) for stages in variants}
        self.forms = nn.ModuleDict(forms)

    def forward(self, x: Tensor, *, relu_in: bool = False, relu_out: bool = False) -> Tensor:
        """(1, C, H, W) -> the same shape, of the convolution's dtype."""
        y: Tensor = self.forms[self.chosen](x, relu_in=relu_in, relu_out=relu_out)
        return y


def _whole(count: int, of: int) -> int:
    return -(-count // of) * of

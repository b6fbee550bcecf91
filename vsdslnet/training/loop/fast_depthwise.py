"""Large depthwise convolutions with a backward that CPUs can do.

PyTorch's own backward of a 17x17 depthwise convolution takes most of a training step. The input
gradient is the same convolution with the kernel turned around. For the weight gradient, input and
output gradient are folded by ``pixel_unshuffle``: 4x4 phases become channels, the depthwise 17x17
becomes a dense 5x5 convolution in groups of 16 channels, whose weight gradient is a matrix product,
and the dense gradient is summed back onto the 289 taps it stands for.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from vsdslnet.network.blocks import DepthwiseConv

__all__ = ["depthwise_conv", "use_fast_depthwise"]

_FOLD = 4
_FEW_CHANNELS = 16
"""Up to so many a processor convolves in fp32: some of PyTorch's bf16 kernels for them were seen to hang."""


class _DepthwiseFunction(torch.autograd.Function):
    """``F.conv2d(x, weight, padding=k//2, groups=C)`` with the backward above."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        grad_x = F.conv2d(grad, weight.flip(-1, -2), padding=weight.shape[-1] // 2, groups=x.shape[1])
        return grad_x, _weight_gradient(x, grad, weight.shape[-1]).to(weight.dtype)


def _weight_gradient(x: Tensor, grad: Tensor, kernel: int) -> Tensor:
    """Gradient (C, 1, k, k) of a depthwise kernel from input and output gradient (N, C, H, W)."""
    channels, height, width = x.shape[1:]
    pad_h, pad_w = -height % _FOLD, -width % _FOLD
    margin = kernel // 2
    taps = (kernel + _FOLD - 1 + _FOLD - 1) // _FOLD
    # The folded input must hold taps - 1 cells more than the folded gradient.
    extra = _FOLD * (taps - 1) - 2 * margin
    folded_x = F.pixel_unshuffle(F.pad(x, (margin, margin + pad_w + extra, margin, margin + pad_h + extra)), _FOLD)
    folded_grad = F.pixel_unshuffle(F.pad(grad, (0, pad_w, 0, pad_h)), _FOLD)
    cells = _FOLD * _FOLD
    dense: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
        folded_x.contiguous(memory_format=torch.channels_last),
        (channels * cells, cells, taps, taps),
        folded_grad.contiguous(memory_format=torch.channels_last),
        groups=channels,
    )
    index = _tap_index(kernel, taps).to(dense.device)
    summed = torch.zeros(channels, kernel * kernel + 1, dtype=torch.float32, device=dense.device)
    summed.index_add_(1, index, dense.float().reshape(channels, -1))
    return summed[:, :-1].reshape(channels, 1, kernel, kernel)


@cache
def _tap_index(kernel: int, taps: int) -> Tensor:
    """For each entry of one group's dense weight (16, 16, t, t): which of the k² taps it is, or k² for none."""
    phase = torch.arange(_FOLD)
    cell = torch.arange(taps)
    # Output phase r, input phase s and cell a meet at tap 4a + s - r.
    line = _FOLD * cell[None, None, :] + phase[None, :, None] - phase[:, None, None]
    y = line[:, None, :, None, :, None]
    x = line[None, :, None, :, None, :]
    valid = (y >= 0) & (y < kernel) & (x >= 0) & (x < kernel)
    index = torch.where(valid, y * kernel + x, torch.full_like(y * x, kernel * kernel))
    return index.reshape(-1)


def depthwise_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Depthwise convolution with zero padding that keeps the size: x (N, C, H, W), weight (C, 1, k, k)."""
    if torch.is_autocast_enabled(x.device.type):
        exact = x.device.type == "cpu" and x.shape[1] <= _FEW_CHANNELS
        dtype = torch.float32 if exact else torch.get_autocast_dtype(x.device.type)
        x, weight = x.to(dtype), weight.to(dtype)
    with torch.autocast(x.device.type, enabled=False):  # which would cast them once more
        y: Tensor = _DepthwiseFunction.apply(x, weight)
    return y if bias is None else y + bias.to(y.dtype).view(1, -1, 1, 1)


class _FastDepthwiseConv(DepthwiseConv):
    """A DepthwiseConv whose forward goes through :func:`depthwise_conv`."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return depthwise_conv(x, self.weight, self.bias)


def use_fast_depthwise(network: nn.Module) -> nn.Module:
    """Let every DepthwiseConv of a network train fast; parameters and results stay the same."""
    for module in network.modules():
        if type(module) is DepthwiseConv:
            module.__class__ = _FastDepthwiseConv
    return network

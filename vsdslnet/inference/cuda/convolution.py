"""Dense convolutions on a device, with what comes behind them in one pass over their result.

PyTorch adds the bias, the residual and the ReLU in passes of their own, each of which takes about as long as the
convolution itself on a large picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet.inference.cpu.strip_layers import rounded
from vsdslnet.inference.cuda import triton_kernels

__all__ = ["DeviceConv", "FinishedForm", "PassesForm"]

_VALUES = 1024


class PassesForm(nn.Module):
    """PyTorch's operators."""

    weight: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.stride, self.padding = conv.stride, conv.padding
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor, *, add: Tensor | None = None, slope: float = 1.0) -> Tensor:
        """See :meth:`DeviceConv.forward`."""
        y = F.conv2d(x.to(self.weight.dtype), self.weight, self.bias, self.stride, self.padding)
        y = y if add is None else y.to(add.dtype).add_(add)
        return y if slope == 1.0 else F.leaky_relu_(y, slope)


class FinishedForm(PassesForm):
    """PyTorch's convolution without a bias, and one kernel behind it."""

    def forward(self, x: Tensor, *, add: Tensor | None = None, slope: float = 1.0) -> Tensor:
        """See :meth:`DeviceConv.forward`."""
        y = F.conv2d(x.to(self.weight.dtype), self.weight, None, self.stride, self.padding)
        y = y.contiguous(memory_format=torch.channels_last)
        out = y
        if add is not None:
            add = add.contiguous(memory_format=torch.channels_last)
            out = y if add.dtype == y.dtype else torch.empty_like(add)
        triton_kernels.load().finish[(-(-y.numel() // _VALUES),)](
            y,
            self.bias,
            y if add is None else add,
            out,
            y.numel(),
            y.shape[1],
            slope,
            ADD=add is not None,
            VALUES=_VALUES,
        )
        return out


class DeviceConv(nn.Module):
    """A convolution in one of its forms; PyTorch's until another is chosen."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        weight = rounded(conv.weight.detach(), dtype).to(dtype)
        bias = weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.detach().to(dtype)
        self.chosen, self.shape = "torch", "x".join(map(str, weight.shape))
        forms: dict[str, nn.Module] = {"torch": PassesForm(conv, weight, bias)}
        if triton_kernels.available():
            forms["triton"] = FinishedForm(conv, weight, bias)
        self.forms = nn.ModuleDict(forms)

    def forward(self, x: Tensor, *, add: Tensor | None = None, slope: float = 1.0) -> Tensor:
        """Values (1, C, H, W) -> (1, K, h, w), channels-last.

        What ``add`` holds is added, in its precision; what is then below 0 is multiplied by ``slope``.
        """
        y: Tensor = self.forms[self.chosen](x, add=add, slope=slope)
        return y

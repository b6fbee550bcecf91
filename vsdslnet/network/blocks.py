"""The pieces more than one module is made of: large-kernel depthwise convolution, LKRB, norms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vsdslnet.network.config import LkrbOrder, Norm

__all__ = ["LKRB", "RESIDUAL_START", "DepthwiseConv", "PlainBlock", "he_init", "make_norm"]

RESIDUAL_START = 0.3
"""Factor on the last layer of every residual block at its start: a chain of them begins near the identity."""


class DepthwiseConv(nn.Conv2d):
    """k x k depthwise convolution that keeps the size (zero padding), "DW17x17" in the paper.

    A class of its own so that training can give it another backward and inference another kernel.
    """

    def __init__(self, features: int, kernel: int) -> None:
        super().__init__(features, features, kernel, padding=kernel // 2, groups=features)


class LKRB(nn.Module):
    """Large Kernel Residual Block (Eq. 8): ``X + Conv3x3(ReLU(DW(ReLU(X))))``.

    Eq. 8 and the prose disagree on the order, and neither writes the skip that "residual block"
    implies. Read as Eq. 8 plus the identity. The prose's order ends in a ReLU, so that its residuals
    could only ever add; it stays reachable as ``order="text"`` for the ablation.
    """

    def __init__(self, features: int, kernel: int, order: LkrbOrder = "skip") -> None:
        super().__init__()
        self.order = order
        self.depthwise = DepthwiseConv(features, kernel)
        self.conv = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        if self.order == "text":
            residual: Tensor = torch.relu(self.depthwise(torch.relu(self.conv(x))))
        else:
            residual = self.conv(torch.relu(self.depthwise(torch.relu(x))))
        return x + residual


class PlainBlock(nn.Module):
    """ResNet's block without norm: X + Conv3x3(ReLU(Conv3x3(X)))."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(features, features, 3, padding=1)
        self.conv_out = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = x + self.conv_out(torch.relu(self.conv_in(x)))
        return y


def make_norm(norm: Norm, features: int) -> nn.Module:
    """The Norm of Eq. 2 by name; "none" is the identity."""
    if norm == "batch":
        return nn.BatchNorm2d(features)
    if norm == "instance":
        return nn.InstanceNorm2d(features, affine=True)
    return nn.Identity()


@torch.no_grad()
def he_init(module: nn.Module) -> None:
    """Start convolutions with variance 2 / fan-in and no bias, so that signals keep their size through ReLUs.

    PyTorch's own start has a third of that variance a layer; through LKRBs too little of it is left for
    the spatial part to learn from.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for block in module.modules():
        # Residuals start small, so that a chain of blocks starts near the identity.
        if isinstance(block, LKRB):
            block.conv.weight.mul_(RESIDUAL_START)
        elif isinstance(block, PlainBlock):
            block.conv_out.weight.mul_(RESIDUAL_START)

"""DSLNet's layers as row streams, with weights prepared once for one device and precision."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet.inference.blockwise import block_weight, depthwise_in_blocks
from vsdslnet.inference.precision import bf16_is_native
from vsdslnet.inference.rows import RowOp, Rows, each, padded, remember, strips
from vsdslnet.network.blocks import LKRB

__all__ = ["RowConv", "RowLKRB", "RowStem", "RowUp", "Target", "activated", "depthwise", "rounded"]


class Target:
    """Where and how a network computes: ``device`` and the ``dtype`` of its activations."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device = device
        self.dtype = dtype
        self.blocks_pay = dtype == torch.bfloat16 and device.type == "cpu" and bf16_is_native(device)

    def put(self, tensor: Tensor) -> Tensor:
        """A copy of a weight here, channels-last if it has four dimensions."""
        layout = torch.channels_last if tensor.dim() == 4 else torch.contiguous_format
        return tensor.detach().to(self.device, self.dtype, memory_format=layout)

    def convolution(self, weight: Tensor, bias: Tensor | None, *, groups: int, relu: bool) -> RowOp:
        """A convolution over rows with their context (1, C, n + 2 radius, W) -> (1, C', n, W).

        The columns are zero padded; the result is the caller's own.
        """
        weight, bias = self.put(rounded(weight, self.dtype)), None if bias is None else self.put(bias)
        padding = (0, weight.shape[-1] // 2)

        def run(x: Tensor) -> Tensor:
            y = F.conv2d(x, weight, bias, padding=padding, groups=groups)
            return y.relu_() if relu else y

        return run


def rounded(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Weights (C', C, k, k) that ``dtype`` holds exactly, near the given ones, each kernel's sum kept.

    What rounding takes from a tap goes to the next smaller one. Where a feature is even, a convolution sees
    nothing but that sum: rounded tap by tap, errors of the sums were a cast of colour over the whole picture.
    """
    if dtype == weight.dtype:
        return weight
    taps = weight.detach().flatten(2)
    order = taps.abs().argsort(dim=-1, descending=True)
    left = torch.zeros_like(taps[..., 0])
    out = torch.empty_like(taps)
    for place in order.unbind(-1):
        wanted = taps.gather(-1, place[..., None])[..., 0] + left
        given = wanted.to(dtype).to(taps.dtype)
        left = wanted - given
        out.scatter_(-1, place[..., None], given[..., None])
    return out.view_as(weight)


class RowConv:
    """A convolution that keeps the size, on strips: ``relu`` may follow at once."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, target: Target, *, groups: int = 1, relu: bool = False
    ) -> None:
        self.radius = weight.shape[-1] // 2
        self.dtype = target.dtype
        self.valid = target.convolution(weight, bias, groups=groups, relu=relu)

    @classmethod
    def of(cls, conv: nn.Module, target: Target, *, relu: bool = False) -> RowConv:
        """The same convolution as a module's."""
        assert isinstance(conv, nn.Conv2d)
        return cls(conv.weight, conv.bias, target, groups=conv.groups, relu=relu)

    def __call__(self, rows: Iterable[Tensor]) -> Rows:
        """Strips of any dtype -> strips of the same rows in the target's."""
        rows = each(rows, lambda x: x.to(self.dtype))
        if self.radius == 0:
            return each(rows, self.valid)
        return each(padded(rows, self.radius), self.valid)


class RowBlockDepthwise(RowConv):
    """A large depthwise convolution on strips, computed in blocks of pixels."""

    def __init__(self, conv: nn.Conv2d, target: Target, *, relu: bool = False) -> None:
        self.radius = conv.kernel_size[0] // 2
        self.dtype = target.dtype
        weight = target.put(block_weight(rounded(conv.weight.detach(), target.dtype)))
        bias = None if conv.bias is None else target.put(conv.bias.repeat_interleave(16))

        def run(x: Tensor) -> Tensor:
            y = depthwise_in_blocks(x, weight, bias, self.radius)
            return y.relu_() if relu else y

        self.valid = run


def depthwise(conv: nn.Module, target: Target, *, relu: bool = False) -> RowConv:
    """The faster of the two ways to compute a depthwise convolution on this target."""
    assert isinstance(conv, nn.Conv2d)
    if target.blocks_pay and conv.kernel_size[0] // 2 % 4 == 0 and conv.kernel_size[0] >= 9:
        return RowBlockDepthwise(conv, target, relu=relu)
    return RowConv.of(conv, target, relu=relu)


class RowLKRB:
    """:class:`~vsdslnet.network.blocks.LKRB` on strips.

    What blocks add to stays fp32: rounded to bf16 after each of them, it was most of bf16's error.
    """

    def __init__(self, block: nn.Module, target: Target) -> None:
        assert isinstance(block, LKRB)
        self.text = block.order == "text"
        self.depthwise = depthwise(block.depthwise, target, relu=True)
        self.conv = RowConv.of(block.conv, target, relu=self.text)

    def __call__(self, rows: Iterable[Tensor]) -> Rows:
        """Strips, the caller's own -> fp32 strips of the same rows."""
        skip: deque[Tensor] = deque()
        kept = remember(each(rows, Tensor.float), skip)
        if self.text:
            # Not in place: the convolution looks at these very strips.
            residual = self.depthwise(self.conv(kept))
            yield from each(residual, lambda strip: skip.popleft() + strip)
        else:
            residual = self.conv(self.depthwise(each(kept, lambda x: torch.relu(x.to(self.conv.dtype)))))
            yield from each(residual, lambda strip: skip.popleft().add_(strip))


class RowStem:
    """LDOE's 3x3 stride-2 convolution with its ReLU, cut from whole frames."""

    def __init__(self, conv: nn.Conv2d, target: Target) -> None:
        self.weight = target.put(conv.weight)
        self.bias = None if conv.bias is None else target.put(conv.bias)
        self.target = target

    def __call__(self, window: Tensor, rows: int) -> Rows:
        """Frames (2T+1, 3, H, W) -> half-resolution strips of ``rows`` / 2 (``rows`` is even)."""
        height = window.shape[-2]
        for top, bottom in strips(height + height % 2, rows):
            cut = window[..., max(0, top - 1) : bottom, :].flatten(0, 1)[None]
            cut = cut.to(self.target.dtype, memory_format=torch.channels_last)
            missing = (0, 0, int(top == 0), bottom - min(bottom, height))
            yield F.conv2d(F.pad(cut, missing), self.weight, self.bias, stride=2, padding=(0, 1)).relu_()


class RowUp:
    """The 4x4 stride-2 transposed convolution with its ReLU: strips of n rows -> strips of 2n."""

    def __init__(self, conv: nn.ConvTranspose2d, target: Target) -> None:
        self.weight = target.put(conv.weight)
        self.bias = None if conv.bias is None else target.put(conv.bias)

    def __call__(self, rows: Iterable[Tensor]) -> Rows:
        """Half-resolution strips -> full-resolution strips."""
        # With a row of context on both sides, output rows 1..2n+2 of 2n+4 are whole; padding cuts to them.
        return each(
            padded(rows, 1),
            lambda x: F.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=(3, 1)).relu_(),
        )


def activated(rows: Iterable[Tensor], slope: float) -> Rows:
    """LeakyReLU in place; the strips have to be the caller's own."""
    return each(rows, lambda x: F.leaky_relu_(x, slope))

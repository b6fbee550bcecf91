"""DSLNet's layers on strips, with weights prepared once for one device and precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet.inference.cpu.blockwise import SIDE, block_weight, from_blocks, in_blocks
from vsdslnet.inference.cpu.graph import Layer, Part, Span, StripGraph
from vsdslnet.inference.precision import processor_has_bf16
from vsdslnet.network.blocks import LKRB
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import coarse_channels, refined
from vsdslnet.network.frame_blend import pixel_evidence_channels
from vsdslnet.network.pixel_blocks import shuffled

__all__ = ["Convolution", "RowConv", "RowDepthwise", "RowLKRB", "RowPixels", "RowStem", "RowUp", "Target", "rounded"]

Convolution = Callable[[Tensor], Tensor]

_PART_COLUMNS = 480
"""Columns of a large depthwise convolution at once: 17 rows of 3840 leave the caches (it took 1.6 times as long)."""


class Target:
    """Where and how a network computes: ``device`` and the ``dtype`` of its activations."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device = device
        self.dtype = dtype
        self.lanes_pay = device.type == "cpu"
        self.parts_pay = device.type == "cpu"
        self.blocks_pay = device.type == "cpu" and _dense_products_pay(dtype)

    def put(self, tensor: Tensor, layout: torch.memory_format | None = None) -> Tensor:
        """A copy of a weight here, channels-last if it has four dimensions and nothing else is asked for."""
        if layout is None:
            layout = torch.channels_last if tensor.dim() == 4 else torch.contiguous_format
        return tensor.detach().to(self.device, self.dtype, memory_format=layout)

    def convolution(self, weight: Tensor, bias: Tensor | None, *, groups: int, relu: bool) -> Convolution:
        """A convolution over rows with their halo (1, C, n + 2 radius, W) -> (1, C', n, W).

        The columns are zero padded; the result is the caller's own.
        """
        weight, bias = self.put(rounded(weight, self.dtype)), None if bias is None else self.put(bias)
        padding = (0, weight.shape[-1] // 2)

        def run(x: Tensor) -> Tensor:
            y = F.conv2d(x, weight, bias, padding=padding, groups=groups)
            return y.relu_() if relu else y

        return run


def _dense_products_pay(dtype: torch.dtype) -> bool:
    """Whether a large depthwise convolution is faster with more products in a denser form.

    In bf16 where the processor has it, for matrix instructions, and because oneDNN's own depthwise kernels were seen
    to hang there; in fp32 where AVX2 is all there is, for oneDNN's depthwise convolution took 1.4 times as long there
    as the blocks with their shuffles (Zen 3).
    """
    if dtype == torch.bfloat16:
        return processor_has_bf16()
    return dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() == "AVX2"


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
    """A convolution that keeps the size, on strips: a ReLU (``leak`` 0) or LeakyReLU may follow at once."""

    def __init__(
        self, weight: Tensor, bias: Tensor | None, target: Target, *, groups: int = 1, leak: float | None = None
    ) -> None:
        self.radius = weight.shape[-1] // 2
        self.dtype = target.dtype
        self.leak = leak or None
        self.convolution = target.convolution(weight, bias, groups=groups, relu=leak == 0)

    @classmethod
    def of(cls, conv: nn.Module, target: Target, *, leak: float | None = None) -> RowConv:
        """The same convolution as a module's."""
        assert isinstance(conv, nn.Conv2d)
        return cls(conv.weight, conv.bias, target, groups=conv.groups, leak=leak)

    def __call__(self, graph: StripGraph, x: Layer, *, add: Layer | None = None) -> Layer:
        """Of strips of any dtype; ``add`` is an fp32 layer to add the result to."""

        def convolved(_: Span, haloed: Tensor, *skip: Tensor) -> Tensor:
            y = self.convolution(haloed.to(self.dtype))
            if self.leak is not None:
                y = F.leaky_relu_(y, self.leak)
            return y.float().add_(skip[0]) if skip else y

        return graph.add(convolved, x.with_halo(self.radius), *([] if add is None else [add]), step=x.step)


class RowDepthwise:
    """A large depthwise convolution on strips, with a ReLU before or after it: in the faster of two ways."""

    def __init__(self, conv: nn.Module, target: Target, *, relu_in: bool = False, relu_out: bool = False) -> None:
        assert isinstance(conv, nn.Conv2d)
        self.radius = conv.kernel_size[0] // 2
        self.dtype = target.dtype
        self.relu_in, self.relu_out = relu_in, relu_out
        self.part_columns = _PART_COLUMNS if target.parts_pay and self.radius else 0
        self.in_blocks = target.blocks_pay and self.radius % SIDE == 0 and self.radius >= SIDE
        if self.in_blocks:
            self.weight = target.put(block_weight(rounded(conv.weight.detach(), target.dtype)))
            self.bias = None if conv.bias is None else target.put(conv.bias.repeat_interleave(SIDE * SIDE))
        else:
            self.convolution = target.convolution(conv.weight, conv.bias, groups=conv.groups, relu=relu_out)

    def __call__(self, graph: StripGraph, x: Layer) -> Layer:
        """Strips of any dtype -> strips of the same rows in the target's."""
        return self._of_blocks(graph, x) if self.in_blocks else self._of_rows(graph, x)

    def _of_rows(self, graph: StripGraph, x: Layer) -> Layer:
        def convolved(haloed: Tensor) -> Tensor:
            haloed = haloed.to(self.dtype)
            if self.relu_in:
                # With a halo the strip is the op's own.
                haloed = haloed.relu_() if self.radius else haloed.relu()
            return self.convolution(haloed)

        def in_parts(_: Span, parts: Iterator[Part]) -> Tensor:
            return torch.cat([convolved(haloed)[..., inside] for haloed, inside in parts], dim=-1)

        if self.part_columns:
            return graph.add(in_parts, x.with_halo(self.radius, columns=self.part_columns), step=x.step)
        return graph.add(lambda _, haloed: convolved(haloed), x.with_halo(self.radius), step=x.step)

    def _of_blocks(self, graph: StripGraph, x: Layer) -> Layer:
        # Each strip is gathered once, and not again as the halo of others.
        def gathered(_: Span, strip: Tensor) -> Tensor:
            return in_blocks(strip, self.dtype, relu=self.relu_in)

        def convolved(span: Span, strip: Tensor, haloed: Tensor) -> Tensor:
            reach = self.radius // SIDE
            y = F.conv2d(haloed, self.weight, self.bias, padding=(0, reach), groups=strip.shape[1])
            return from_blocks(y.relu_() if self.relu_out else y, strip.shape[-2], strip.shape[-1])

        blocks = graph.add(gathered, x, step=x.step * SIDE)
        return graph.add(convolved, x, blocks.with_halo(self.radius // SIDE), step=x.step)


class RowLKRB:
    """:class:`~vsdslnet.network.blocks.LKRB` on strips.

    What blocks add to stays fp32: rounded to bf16 after each of them, it was most of bf16's error.
    """

    def __init__(self, block: nn.Module, target: Target) -> None:
        assert isinstance(block, LKRB)
        self.text = block.order == "text"
        self.depthwise = RowDepthwise(block.depthwise, target, relu_in=not self.text, relu_out=True)
        self.conv = RowConv.of(block.conv, target, leak=0 if self.text else None)

    def __call__(self, graph: StripGraph, x: Layer) -> Layer:
        """Strips of any dtype -> fp32 strips of the same rows."""
        if self.text:
            y = self.depthwise(graph, self.conv(graph, x))
            return graph.add(lambda _, strip, skip: strip.float() + skip, y, x)
        return self.conv(graph, self.depthwise(graph, x), add=x)


class RowStem:
    """LDOE's 3x3 stride-2 convolution with its ReLU, cut from whole frames in blocks of ``scale`` pixels a side."""

    def __init__(self, conv: nn.Conv2d, target: Target, *, scale: int = 1) -> None:
        # 3x3 blocks are 3s x 3s pixels: no copy has to make blocks of them, nor channels-last of whole frames.
        self.layout = torch.channels_last if scale == 1 else torch.contiguous_format
        self.weight = target.put(shuffled(conv.weight, scale), self.layout)
        self.bias = None if conv.bias is None else target.put(conv.bias)
        self.target = target
        self.scale = scale

    def __call__(self, graph: StripGraph, window: Tensor) -> Layer:
        """Frames (2T+1, 3, H, W) of whole blocks -> half-resolution strips."""
        return graph.add(lambda span: self.strip(window, span), step=2)

    def strip(self, window: Tensor, span: Span) -> Tensor:
        """The half-resolution rows of a span that begins at an even row of blocks."""
        rows, scale = span.bottom - span.top, self.scale
        cut = window[..., scale * max(0, span.top - 1) : scale * span.bottom, :].flatten(0, 1)[None]
        cut = cut.to(self.target.dtype, memory_format=self.layout)
        missing = (0, 0, scale * int(span.top == 0), scale * (rows % 2))
        y = F.conv2d(F.pad(cut, missing), self.weight, self.bias, stride=2 * scale, padding=(0, scale))
        return y.contiguous(memory_format=torch.channels_last).relu_()


class RowUp:
    """The 4x4 stride-2 transposed convolution with its ReLU: half-resolution strips -> full-resolution strips."""

    def __init__(self, conv: nn.ConvTranspose2d, target: Target) -> None:
        self.weight = target.put(conv.weight)
        self.bias = None if conv.bias is None else target.put(conv.bias)

    def __call__(self, graph: StripGraph, x: Layer, *, columns: int) -> Layer:
        """An odd side's last half-resolution pixel makes two; those beyond the frame are cut off."""

        def enlarged(span: Span, haloed: Tensor) -> Tensor:
            # With a halo of a row on both sides, output rows 1..2n+2 of 2n+4 are whole; padding cuts to them.
            y = F.conv_transpose2d(haloed, self.weight, self.bias, stride=2, padding=(3, 1)).relu_()
            return y[..., : span.bottom - span.top, :columns]

        return graph.add(enlarged, x.with_halo(1))


class RowPixels:
    """From what the head says of blocks to their pixels (``DSLNet.pixels_of``), on strips of a band of a frame."""

    def __init__(self, config: DSLNetConfig, window: Tensor, *, left: int, right: int) -> None:
        """Of frames (2T+1, 3, H, W) of whole blocks the columns ``left`` to ``right`` of those."""
        self.config, self.window = config, window
        self.height, self.left, self.right = window.shape[-2] // config.scale, left, right
        self.radius = 1 if coarse_channels(config) else 0
        """Rows of blocks beside a strip that its pixels depend on."""

    def __call__(self, said: Tensor, span: Span, inside: slice, evidence: Tensor | None) -> tuple[Tensor, Tensor]:
        """The SDR frame to take the base of, and the correction, (1, 3, H, W) each, of a strip's pixels.

        ``said`` and, where frames are blended, ``evidence`` (1, C, n + 2 radius, W') may be written into; ``inside``
        are the band's columns of them.
        """
        scale, pixels = self.config.scale, 3 * self.config.scale**2
        rows, columns = (slice(scale * a, scale * b) for a, b in (span, (self.left, self.right)))
        frames = self.window[None, ..., rows, columns]
        own = said[..., self.radius : said.shape[-2] - self.radius, inside]
        correction = shuffled(own[:, :pixels], scale)
        if not self.radius:
            return frames[:, self.config.radius], correction
        coarse = [said[:, pixels:]]
        if evidence is not None:
            coarse.append(evidence[:, : pixel_evidence_channels(self.config)])
        return refined(self.config, correction, self._fine(coarse, span, inside), frames)

    def _fine(self, coarse: list[Tensor], span: Span, inside: slice) -> Tensor:
        """Coarse channels at a strip's pixels: beyond the frame's borders as on them."""
        columns = coarse[0].shape[-1]
        left, right = min(1, inside.start), min(1, columns - inside.stop)
        haloed = torch.cat([planes[..., inside.start - left : inside.stop + right] for planes in coarse], dim=1)
        haloed = F.pad(haloed, (1 - left, 1 - right, 0, 0), mode="replicate")
        if span.top == 0:
            haloed[..., 0, :] = haloed[..., 1, :]
        if span.bottom == self.height:
            haloed[..., -1, :] = haloed[..., -2, :]
        return _enlarged(haloed, self.config.scale)


def _enlarged(haloed: Tensor, scale: int) -> Tensor:
    """Blocks with one beside each border (1, C, h + 2, w + 2) -> their pixels (1, C, scale * h, scale * w), bilinear.

    Along the rows first, while they are few, then down: ``F.interpolate`` of both sides takes three times as long.
    """
    if scale == 1:
        return haloed[..., 1:-1, 1:-1]
    channels, height, width = haloed.shape[1:]
    flat = haloed.reshape(1, channels * height, 1, width)
    across = F.interpolate(flat, scale_factor=(1, scale), mode="bilinear", align_corners=False)
    across = across.view(1, channels, height, 1, width * scale)
    # The first pixels of a block lie between it and the block above, the others between it and the one below.
    place = (torch.arange(scale, dtype=across.dtype, device=across.device).view(-1, 1) + 0.5) / scale - 0.5
    first, middle = scale // 2, across[:, :, 1:-1]
    out = across.new_empty(1, channels, height - 2, scale, width * scale)
    torch.lerp(across[:, :, :-2], middle, place[:first] + 1, out=out[:, :, :, :first])
    torch.lerp(middle, across[:, :, 2:], place[first:], out=out[:, :, :, first:])
    return out.view(1, channels, -1, width * scale)[..., scale:-scale]

"""DSLNet strip by strip: the same network as :class:`~vsdslnet.network.dslnet.DSLNet`, for inference.

What the network counts in are blocks of pixels, ``scale`` of its config a side: strips are of so many rows of blocks,
a band of so many columns of them. Only what reads frames and what writes the picture knows pixels.

First the whole window's conditions (1 % of the work), then the frame strip by strip through every layer.
In any precision fp32 are ConditionNet, the stem, the sampling, the residual branch's first convolution, the
modulation, what residual blocks add to, the head, the analytic base and the sum: little work, and most of the error
if it were rounded. The stem above all: its weights take differences of frames, which rounded weights no longer
cancel to nothing where nothing moves. The residual branch is the next: it reads frames that were learnt to be
compared, and where they are even, rounding them shifts the whole area.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vsdslnet.inference.cpu.graph import Layer, Span, StripGraph
from vsdslnet.inference.cpu.lanes import in_lanes
from vsdslnet.inference.cpu.modulation import Modulator
from vsdslnet.inference.cpu.neighbourhood import RowLines
from vsdslnet.inference.cpu.sampling import FrameSampler
from vsdslnet.inference.cpu.strip_layers import RowConv, RowDepthwise, RowLKRB, RowPixels, RowStem, RowUp, Target
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import Conditions, DSLNet, coarse_channels
from vsdslnet.network.frame_blend import block_evidence, evidence_feature_channels
from vsdslnet.network.lkqe import first_leak
from vsdslnet.network.pixel_blocks import whole_blocks
from vsdslnet.network.side_by_side import Everywhere, each, on_this_thread
from vsdslnet.network.stfm import ModulationVectors

__all__ = ["Band", "StreamedDSLNet", "halo_blocks", "reach_blocks"]

_LEAK = 0.1


class Band(NamedTuple):
    """Columns ``left`` to ``right`` of blocks, in strips of ``rows`` blocks; left is even, rows a multiple of 8."""

    left: int
    right: int
    rows: int


def halo_blocks(config: DSLNetConfig) -> int:
    """Columns of blocks beside a band that its columns depend on, an even number (for the paper's kernels 120)."""
    trunk, offsets = reach_blocks(config)
    return trunk + offsets + (trunk + offsets) % 2


def reach_blocks(config: DSLNetConfig) -> tuple[int, int]:
    """How many blocks far the layers behind the sampling see, and how far those that make its offsets."""
    block = config.kernel // 2 + 1
    # Residual branch: three 3x3 and a chain; LKQE: one and a chain; the head; a coarse channel's neighbour.
    trunk = (3 + config.chain * block) + (1 + config.chain * block) + 1 + (coarse_channels(config) > 0)
    # The stem, and at half the resolution two large kernels and the dynamic one; upwards again; the offset conv.
    offsets = 1 + 2 * (2 * (config.kernel // 2) + config.dynamic_kernel // 2) + 2 + config.offset_conv
    return trunk, offsets


class StreamedDSLNet:
    """A DSLNet's weights made ready for one device and precision; holds no state between windows.

    ``everywhere`` is where it computes: what its frames' other tasks may use as well.
    """

    def __init__(self, network: DSLNet, target: Target) -> None:
        self.config = network.config
        self.scale = network.config.scale
        self._exact = exact = Target(target.device, torch.float32)
        self.everywhere: Everywhere = in_lanes if target.lanes_pay else on_this_thread
        self._target = target
        self._network = network.to(target.device)
        ldoe = network.dmfa.ldoe
        self._halo = halo_blocks(network.config)
        self._stem = RowStem(ldoe.stem, exact, scale=self.scale)
        self._depthwise_in = RowDepthwise(ldoe.depthwise_in, target)
        self._depthwise_out = RowDepthwise(ldoe.depthwise_out, target, relu_out=True)
        self._up = RowUp(ldoe.up, target)
        self._offset = None if ldoe.offset is None else RowConv.of(ldoe.offset, target)
        self._sampler = FrameSampler(network.dmfa.deform, exact)
        residual, lkqe = list(network.stfm.residual), list(network.lkqe)
        self._residual_in = [
            RowConv.of(residual[0], exact, leak=_LEAK),
            RowConv.of(residual[2], target, leak=_LEAK),
        ]
        self._residual = [RowLKRB(block, target) for block in residual[4:-1]]
        self._residual_out = RowConv.of(residual[-1], target)
        self._lkqe_in = RowConv.of(lkqe[0], target, leak=first_leak(network.config))
        self._lkqe = [RowLKRB(block, target) for block in lkqe[2:]]
        self._head = RowConv.of(network.head, exact)

    def conditions(self, window: Tensor, rows: int) -> Conditions:
        """Whole frames (2T+1, 3, H, W) on the device -> their global conditions, in strips of ``rows`` blocks."""
        vectors, lines = self._vectors(window), self._network.neighbourhood(window[None])
        dynamic = self._network.dmfa.ldoe.dynamic
        if dynamic is None:
            return Conditions(vectors, None, lines)
        window = whole_blocks(window, self.scale)
        height, width = self._blocks(window)
        graph = StripGraph(height, rows)
        sums = torch.empty(len(graph.spans), self.config.features, device=window.device)

        def summed(span: Span, strip: Tensor) -> Tensor:
            return torch.sum(strip, dim=(0, 2, 3), dtype=torch.float32, out=sums[span.top // rows])

        graph.add(summed, self._encoded(graph, window, Band(0, width, rows)))
        graph.run(self.everywhere)
        mean = sums.sum(dim=0, dtype=torch.float64) / (((height + 1) // 2) * ((width + 1) // 2))
        # The kernels are a function of the mean alone; a single pixel of that value has it.
        return Conditions(vectors, dynamic(mean.float()[None, :, None, None]), lines)

    def _vectors(self, window: Tensor) -> ModulationVectors:
        condition = self._network.stfm.condition

        def features(frame: Tensor) -> Tensor:
            return condition.frame_features(condition.shrink(frame[None, None]))

        return condition.vectors(torch.cat(each(features, window, self.everywhere), dim=1))

    def render(self, window: Tensor, conditions: Conditions, band: Band, out: Tensor) -> None:
        """Render a band of the centre frame into ``out`` (3, H, W), fp32, all on the device.

        The columns beside the band are worked on as far as it depends on them, and left alone in ``out``.
        """
        size = window.shape[-2:]
        window = whole_blocks(window, self.scale)
        height, width = self._blocks(window)
        wide = Band(max(0, band.left - self._halo), min(width, band.right + self._halo), band.rows)
        graph = StripGraph(height, band.rows)
        inside = slice(band.left - wide.left, band.right - wide.left)
        pixels = RowPixels(self.config, window, left=band.left, right=band.right)
        columns = self._in_pixels(band.left, band.right)
        lines = conditions.lines
        around = None if lines is None else RowLines(lines, height=size[0], width=size[1], columns=columns)

        def composed(span: Span, said: Tensor, evidence: Tensor | None = None) -> Tensor:
            rows = self._in_pixels(*span)
            sdr, correction = pixels(said, span, inside, evidence)
            pq = self._network.compose(sdr, correction, None if around is None else around(rows))[0]
            place = out[:, rows, columns]
            return place.copy_(pq[..., : place.shape[-2], : place.shape[-1]])

        features = self._features(graph, window, conditions, wide)
        evidence = self._evidence(graph, window, wide, features)
        said = self._said(graph, features, evidence)
        graph.add(composed, *(layer.with_halo(pixels.radius) for layer in (said, evidence) if layer is not None))
        graph.run(self.everywhere)

    def _in_pixels(self, first: int, last: int) -> slice:
        """The pixels of blocks along a side."""
        return slice(self.scale * first, self.scale * last)

    def _blocks(self, window: Tensor) -> tuple[int, int]:
        """Rows and columns of a window's blocks."""
        return window.shape[-2] // self.scale, window.shape[-1] // self.scale

    def _evidence(self, graph: StripGraph, window: Tensor, band: Band, features: Layer) -> Layer | None:
        """What the frames' blocks show; None without blending."""
        if not self.config.frame_blend:
            return None
        columns = self._in_pixels(band.left, band.right)

        def shown(span: Span, _: Tensor) -> Tensor:
            return block_evidence(window[None, ..., self._in_pixels(*span), columns], self.scale)

        # It needs the frames alone; but if it read nothing, it would be first or last: all its strips, or all others,
        # would lie in memory.
        return graph.add(shown, features)

    def _features(self, graph: StripGraph, window: Tensor, conditions: Conditions, band: Band) -> Layer:
        """F_Modulated, in blocks."""
        modulation = self._network.stfm.modulation
        height, width = self._blocks(window)
        modulate = Modulator(modulation, conditions.vectors, self._exact, height=height, width=width)
        offsets = self._offsets(graph, window, conditions.kernels, band)
        aligned = graph.add(lambda span, strip: self._sampler(window, strip, span.top, band.left), offsets)
        modulated = graph.add(lambda span, strip: modulate(strip, span.top, band.left), aligned)
        residual = aligned
        for conv in self._residual_in:
            residual = conv(graph, residual)
        for block in self._residual:
            residual = block(graph, residual)
        return self._residual_out(graph, residual, add=modulated)

    def _said(self, graph: StripGraph, features: Layer, evidence: Layer | None) -> Layer:
        """What the head says of F_Modulated and, where it is told, of what the blocks show."""
        if evidence is not None and evidence_feature_channels(self.config):
            features = graph.add(lambda _, strip, shown: self._network.with_evidence(strip, shown), features, evidence)
        features = self._lkqe_in(graph, features)
        for block in self._lkqe:
            features = block(graph, features)
        return self._head(graph, features)

    def _offsets(self, graph: StripGraph, window: Tensor, kernels: Tensor | None, band: Band) -> Layer:
        encoded = self._encoded(graph, window, band)
        dynamic = self._network.dmfa.ldoe.dynamic
        if dynamic is not None and kernels is not None:
            # Other kernels for every window: nothing that a target could compile ahead.
            mine = Target(self._target.device, self._target.dtype)
            encoded = RowConv(kernels[0][:, None], dynamic.bias, mine, groups=self.config.features)(graph, encoded)
        full = self._up(graph, self._depthwise_out(graph, encoded), columns=band.right - band.left)
        return full if self._offset is None else self._offset(graph, full)

    def _encoded(self, graph: StripGraph, window: Tensor, band: Band) -> Layer:
        """LDOE's half-resolution features before its dynamic kernel."""
        columns = self._in_pixels(band.left, band.right)
        return self._depthwise_in(graph, self._stem(graph, window[..., columns]))

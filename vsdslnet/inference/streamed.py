"""DSLNet as a stream of rows: the same network as :class:`~vsdslnet.network.dslnet.DSLNet`, for inference.

First the whole window's conditions (1 % of the work), then the frame strip by strip through every layer.
In any precision fp32 are ConditionNet, the stem, the sampling, the modulation, what residual blocks add to, the
head, the analytic base and the sum: little work, and most of the error if it were rounded. The stem above all:
its weights take differences of frames, which rounded weights no longer cancel to nothing where nothing moves.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

from vsdslnet.inference.layers import RowConv, RowLKRB, RowStem, RowUp, Target, activated, depthwise
from vsdslnet.inference.modulation import Modulator
from vsdslnet.inference.rows import Rows, each, strips
from vsdslnet.inference.sampling import FrameSampler
from vsdslnet.network.dslnet import Conditions, DSLNet

__all__ = ["HALO_COLUMNS", "Band", "StreamedDSLNet"]

HALO_COLUMNS = 120
"""Columns beside a band that its columns depend on: 77 of the trunk, 42 of the offsets, made even."""

_LEAK = 0.1


class Band(NamedTuple):
    """Columns ``left`` to ``right`` of a frame, worked on in strips of ``rows``; left and rows are even."""

    left: int
    right: int
    rows: int


class StreamedDSLNet:
    """A DSLNet's weights made ready for one device and precision; holds no state between windows."""

    def __init__(self, network: DSLNet, target: Target) -> None:
        self.config = network.config
        self._exact = exact = Target(target.device, torch.float32)
        self._target = target
        self._network = network.to(target.device)
        ldoe = network.dmfa.ldoe
        self._stem = RowStem(ldoe.stem, exact)
        self._depthwise_in = depthwise(ldoe.depthwise_in, target)
        self._depthwise_out = depthwise(ldoe.depthwise_out, target, relu=True)
        self._up = RowUp(ldoe.up, target)
        self._offset = None if ldoe.offset is None else RowConv.of(ldoe.offset, target)
        self._sampler = FrameSampler(network.dmfa.deform, exact)
        residual, lkqe = list(network.stfm.residual), list(network.lkqe)
        self._residual_in = [RowConv.of(residual[0], target), RowConv.of(residual[2], target)]
        self._residual = [RowLKRB(block, target) for block in residual[4:-1]]
        self._residual_out = RowConv.of(residual[-1], target)
        self._lkqe_in = RowConv.of(lkqe[0], target, relu=True)
        self._lkqe = [RowLKRB(block, target) for block in lkqe[2:]]
        self._head = RowConv.of(network.head, exact)

    def conditions(self, window: Tensor, rows: int) -> Conditions:
        """Whole frames (2T+1, 3, H, W) on the device -> their global conditions, in strips of ``rows``."""
        vectors = self._network.stfm.condition(window[None])
        dynamic = self._network.dmfa.ldoe.dynamic
        if dynamic is None:
            return Conditions(vectors, None)
        height, width = window.shape[-2:]
        total = torch.zeros(self.config.features, dtype=torch.float64, device=window.device)
        for strip in self._encoded(window, Band(0, width, rows)):
            total += strip.sum(dim=(0, 2, 3), dtype=torch.float32)
        mean = total / (((height + 1) // 2) * ((width + 1) // 2))
        # The kernels are a function of the mean alone; a single pixel of that value has it.
        return Conditions(vectors, dynamic(mean.float()[None, :, None, None]))

    def render(self, window: Tensor, conditions: Conditions, band: Band, out: Tensor) -> None:
        """Render a band of the centre frame into ``out`` (3, H, W), fp32, all on the device.

        The columns beside the band are worked on as far as it depends on them, and left alone in ``out``.
        """
        height, width = window.shape[-2:]
        wide = Band(max(0, band.left - HALO_COLUMNS), min(width, band.right + HALO_COLUMNS), band.rows)
        inside = slice(band.left - wide.left, band.right - wide.left)
        centre = window[self.config.radius]
        corrections = self._corrections(window, conditions, wide)
        for (top, bottom), correction in zip(strips(height, band.rows), corrections, strict=True):
            columns = slice(band.left, band.right)
            sdr = centre[None, :, top:bottom, columns]
            out[:, top:bottom, columns] = self._network.compose(sdr, correction[..., inside])[0]

    def _corrections(self, window: Tensor, conditions: Conditions, band: Band) -> Rows:
        modulated: deque[Tensor] = deque()
        rows = self._modulated(window, conditions, band, modulated)
        for conv in self._residual_in:
            rows = activated(conv(rows), _LEAK)
        for block in self._residual:
            rows = block(rows)
        rows = each(self._residual_out(rows), lambda skip: modulated.popleft().add_(skip))
        rows = self._lkqe_in(rows)
        for block in self._lkqe:
            rows = block(rows)
        return self._head(rows)

    def _modulated(self, window: Tensor, conditions: Conditions, band: Band, modulated: deque[Tensor]) -> Rows:
        """F_Aligned in strips; F_Mod of each is queued for where the residual branch joins."""
        height, width = window.shape[-2:]
        modulate = Modulator(self._network.stfm.modulation, conditions.vectors, self._exact, height=height, width=width)
        offsets = self._offsets(window, conditions.kernels, band)
        tops = iter(range(0, height, band.rows))

        def align(strip: Tensor) -> Tensor:
            top = next(tops)
            aligned = self._sampler(window, strip, top, band.left)
            modulated.append(modulate(aligned, top, band.left))
            return aligned

        return each(offsets, align)

    def _offsets(self, window: Tensor, kernels: Tensor | None, band: Band) -> Rows:
        height = window.shape[-2]
        rows = self._encoded(window, band)
        dynamic = self._network.dmfa.ldoe.dynamic
        if dynamic is not None and kernels is not None:
            # Other kernels for every window: nothing that a target could compile ahead.
            here = Target(self._target.device, self._target.dtype)
            rows = RowConv(kernels[0][:, None], dynamic.bias, here, groups=self.config.features)(rows)
        rows = self._up(self._depthwise_out(rows))
        columns = band.right - band.left
        # An odd side's last half-resolution pixel makes two, one of them beyond the frame.
        heights = (bottom - top for top, bottom in strips(height, band.rows))
        rows = each(rows, lambda strip: strip[..., : next(heights), :columns])
        return rows if self._offset is None else self._offset(rows)

    def _encoded(self, window: Tensor, band: Band) -> Rows:
        """LDOE's half-resolution features before its dynamic kernel, in strips of half the rows."""
        return self._depthwise_in(self._stem(window[..., band.left : band.right], band.rows))

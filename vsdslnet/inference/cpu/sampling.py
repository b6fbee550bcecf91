"""The deformable convolution of DMFA for a strip: samples the whole frames wherever the offsets point."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.network.dmfa import MAX_OFFSET_PX, DeformableConv

__all__ = ["FrameSampler"]

_TAPS = 3


class FrameSampler:
    """:class:`~vsdslnet.network.dmfa.DeformableConv` on strips; positions and samples are fp32."""

    def __init__(self, conv: DeformableConv, target: Target) -> None:
        self.frames = conv.frames
        self.target = target
        self.weight = target.put(conv.weight.flatten(1).t())
        self.bias = target.put(conv.bias)
        tap = torch.arange(_TAPS, dtype=torch.float32, device=target.device) - _TAPS // 2
        self._tap_y = tap.repeat_interleave(_TAPS).view(-1, 1, 1)
        self._tap_x = tap.repeat(_TAPS).view(-1, 1, 1)

    def __call__(self, window: Tensor, offsets: Tensor, top: int, left: int) -> Tensor:
        """Aligned features of the strip whose first pixel is (``top``, ``left``) in the frame.

        Whole frames (2T+1, 3, H, W) fp32, offsets in pixels (1, F*9*2, rows, W'), each tap's y before its
        x -> (1, C, rows, W').
        """
        rows, columns = offsets.shape[-2:]
        sampled = F.grid_sample(
            window,
            self._grid(offsets, window.shape[-2:], top, left),
            mode="bilinear",
            padding_mode="zeros",
            align_corners=False,
        )
        # (F, 3, 9 * rows, W'): channel-major, tap-minor within a frame, as the flattened weight.
        flat = sampled.view(-1, rows * columns).to(self.target.dtype)
        features = torch.addmm(self.bias, flat.t(), self.weight)
        return features.view(1, rows, columns, -1).permute(0, 3, 1, 2)

    def _grid(self, offsets: Tensor, size: torch.Size, top: int, left: int) -> Tensor:
        """Offsets -> grid_sample's coordinates (F, 9 * rows, W', 2): pixel i at (2i + 1) / size - 1."""
        height, width = size
        rows, columns = offsets.shape[-2:]
        taps, device = _TAPS * _TAPS, offsets.device
        ys = torch.arange(top, top + rows, dtype=torch.float32, device=device).view(1, rows, 1)
        xs = torch.arange(left, left + columns, dtype=torch.float32, device=device).view(1, 1, columns)
        # One pass turns pixels of 90 numbers into 90 planes; all that follows runs along rows, and so does
        # grid_sample, which takes its coordinates from planes as well as in pairs.
        planes = offsets.permute(0, 2, 3, 1).reshape(rows * columns, -1).t().contiguous().float()
        planes = planes.clamp_(-MAX_OFFSET_PX, MAX_OFFSET_PX).view(self.frames, taps, 2, rows, columns)
        grid = torch.empty(self.frames, 2, taps, rows, columns, device=device)
        torch.add((2 * (xs + self._tap_x) + 1) / width - 1, planes[:, :, 1], alpha=2 / width, out=grid[:, 0])
        torch.add((2 * (ys + self._tap_y) + 1) / height - 1, planes[:, :, 0], alpha=2 / height, out=grid[:, 1])
        return grid.view(self.frames, 2, taps * rows, columns).permute(0, 2, 3, 1)

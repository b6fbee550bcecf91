"""The deformable convolution of DMFA for a strip: samples the whole frames wherever the offsets point."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.network.dmfa import MAX_OFFSET_PX, DeformableConv

__all__ = ["FrameSampler"]


class FrameSampler:
    """:class:`~vsdslnet.network.dmfa.DeformableConv` on strips; positions and samples are fp32."""

    def __init__(self, conv: DeformableConv, target: Target) -> None:
        self.frames, self.kernel, self.scale = conv.frames, conv.kernel, conv.scale
        self.target = target
        self.bias = target.put(conv.bias)
        if self.scale == 1:
            self.weight = target.put(conv.weight.flatten(1).t())
        else:
            # As a convolution that steps from block to block: no copy has to make blocks of what was sampled.
            planes = 3 * self.frames
            of_pixels = conv.weight.view(-1, planes, self.scale, self.scale, self.kernel**2).movedim(-1, 2)
            # A channels-last weight would have the samples copied into that order first.
            self.weight = target.put(of_pixels.flatten(1, 2), torch.contiguous_format)
        tap = torch.arange(self.kernel, dtype=torch.float32, device=target.device) - self.kernel // 2
        self._tap_y = self.scale * tap.repeat_interleave(self.kernel).view(-1, 1, 1)
        self._tap_x = self.scale * tap.repeat(self.kernel).view(-1, 1, 1)

    def __call__(self, window: Tensor, offsets: Tensor, top: int, left: int) -> Tensor:
        """Aligned features of the strip whose first block is (``top``, ``left``) in the frame.

        Whole frames (2T+1, 3, H, W) fp32, offsets in pixels (1, F*k*k*2, rows, W') of blocks, each tap's y before its
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
        # (F, 3, k * k * rows, W'): channel-major, tap-minor within a frame, as the flattened weight.
        if self.scale > 1:
            planes = sampled.view(1, -1, self.scale * rows, self.scale * columns).to(self.target.dtype)
            features = F.conv2d(planes, self.weight, self.bias, stride=self.scale)
            return features.contiguous(memory_format=torch.channels_last)
        flat = sampled.view(-1, rows * columns).to(self.target.dtype)
        features = torch.addmm(self.bias, flat.t(), self.weight)
        return features.view(1, rows, columns, -1).permute(0, 3, 1, 2)

    def _grid(self, offsets: Tensor, size: torch.Size, top: int, left: int) -> Tensor:
        """Offsets -> grid_sample's coordinates (F, k * k * rows, W', 2) in pixels: pixel i at (2i + 1) / size - 1."""
        height, width = size
        rows, columns = offsets.shape[-2:]
        taps, scale, device = self.kernel**2, self.scale, offsets.device
        # One pass turns pixels of 90 numbers into 90 planes; all that follows runs along rows, and so does
        # grid_sample, which takes its coordinates from planes as well as in pairs.
        planes = offsets.permute(0, 2, 3, 1).reshape(rows * columns, -1).t().contiguous().float()
        planes = planes.clamp_(-MAX_OFFSET_PX, MAX_OFFSET_PX).view(self.frames, taps, 2, rows, columns)
        if scale > 1:
            planes = planes.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)
            top, left, rows, columns = (scale * count for count in (top, left, rows, columns))
        ys = torch.arange(top, top + rows, dtype=torch.float32, device=device).view(1, rows, 1)
        xs = torch.arange(left, left + columns, dtype=torch.float32, device=device).view(1, 1, columns)
        grid = torch.empty(self.frames, 2, taps, rows, columns, device=device)
        torch.add((2 * (xs + self._tap_x) + 1) / width - 1, planes[:, :, 1], alpha=2 / width, out=grid[:, 0])
        torch.add((2 * (ys + self._tap_y) + 1) / height - 1, planes[:, :, 0], alpha=2 / height, out=grid[:, 1])
        return grid.view(self.frames, 2, taps * rows, columns).permute(0, 2, 3, 1)

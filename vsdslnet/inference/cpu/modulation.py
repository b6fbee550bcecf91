"""STFM's modulation branch for a strip, with TFM and CFM folded into the 1x1 convolutions before them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.inference.cpu.strip_layers import Target
from vsdslnet.network.stfm import ModulationBranch, ModulationVectors

__all__ = ["Modulator"]

_CACHED_PX = 2048
"""Pixels whose features, scales and shifts fit a core's cache together."""


class Modulator:
    """One window's modulation: fold once, then call for every strip from the top downwards."""

    def __init__(
        self, branch: ModulationBranch, vectors: ModulationVectors, target: Target, *, height: int, width: int
    ) -> None:
        self._target = target
        convs = list(branch.convs)
        folds = [vectors.temporal, *([vectors.current] * (len(convs) - 1))]
        self._layers = [_folded(conv, vector, target) for conv, vector in zip(convs, folds, strict=True)]
        spatial = vectors.spatial[0].permute(1, 2, 0)
        self._down = _bilinear(spatial.shape[0], height).to(target.device)
        self._across = _bilinear(spatial.shape[1], width).to(target.device)
        self._scale, self._shift = (half.contiguous() for half in spatial.chunk(2, dim=-1))

    def __call__(self, aligned: Tensor, top: int, left: int) -> Tensor:
        """F_Aligned (1, C, rows, W') whose first pixel is (``top``, ``left``) in the frame -> F_Mod."""
        pixels = aligned.permute(0, 2, 3, 1)[0]
        rows, columns, _ = pixels.shape
        out = torch.empty_like(pixels)
        few = max(1, _CACHED_PX // columns)
        for first in range(0, rows, few):
            part = slice(first, first + few)
            out[part] = self._modulated(pixels[part], top + first, left)
        return out.permute(2, 0, 1)[None]

    def _modulated(self, pixels: Tensor, top: int, left: int) -> Tensor:
        """A few rows (rows, W', C) that stay in the cache from the first layer to the last."""
        rows, columns, channels = pixels.shape
        scale = self._upsampled(self._scale, top, rows, left, columns)
        shift = self._upsampled(self._shift, top, rows, left, columns)
        weight, bias = self._layers[0]
        y = torch.addmm(bias, pixels.reshape(-1, channels), weight)
        for weight, bias in self._layers[1:]:
            y = torch.addmm(bias, y.relu_(), weight).mul_(scale).add_(shift)
        return y.view(rows, columns, channels)

    def _upsampled(self, half: Tensor, top: int, rows: int, left: int, columns: int) -> Tensor:
        """Half of V_SM over a few rows, bilinear as ``interpolate``: (rows * W', C)."""
        strip = torch.tensordot(self._down[top : top + rows], half, dims=1)
        full = torch.matmul(self._across[left : left + columns], strip)
        return full.to(self._target.dtype).flatten(0, 1)


def _folded(conv: torch.nn.Module, vector: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """``(conv(x)) * scale + shift`` as one product: weight (in, out) and bias."""
    scale, shift = vector[0].chunk(2)
    weight = conv.weight.flatten(1) * scale[:, None]  # type: ignore[operator]
    return target.put(weight.t().contiguous()), target.put(conv.bias * scale + shift)  # type: ignore[operator]


def _bilinear(inputs: int, outputs: int) -> Tensor:
    """The (outputs, inputs) matrix of bilinear ``interpolate(align_corners=False)`` along one side."""
    return F.interpolate(torch.eye(inputs)[None], size=outputs, mode="linear", align_corners=False)[0].t()

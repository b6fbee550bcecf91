"""STFM's modulation branch on a device: the network's own modules in strips, or one Triton kernel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vsdslnet.inference.cuda import triton_kernels
from vsdslnet.network.dslnet import upsample_crop
from vsdslnet.network.stfm import ModulationBranch, ModulationVectors
from vsdslnet.network.window import Box

__all__ = ["DeviceModulation", "FusedModulation", "StripModulation"]

_STRIP_ROWS = 128
_VARIANTS = (64, 4), (128, 8), (32, 4)
"""Pixels and warps of a program."""


class DeviceModulation(nn.Module):
    """The branch in one of its forms. V_SM at full size would be twice as large as any other feature map: no form
    makes it."""

    def __init__(self, branch: ModulationBranch, dtype: torch.dtype) -> None:
        super().__init__()
        self.chosen = "torch"
        forms: dict[str, nn.Module] = {"torch": StripModulation(branch, dtype)}
        if triton_kernels.available():
            forms |= {
                f"triton-{pixels}-{warps}": FusedModulation(branch, dtype, pixels, warps) for pixels, warps in _VARIANTS
            }
        self.forms = nn.ModuleDict(forms)

    def forward(self, aligned: Tensor, vectors: ModulationVectors, box: Box) -> Tensor:
        """F_Aligned (1, C, h, w) of what lies at ``box`` (x0, y0, x1, y1 in 0..1) of the frame -> F_Mod."""
        y: Tensor = self.forms[self.chosen](aligned, vectors, box)
        return y


class StripModulation(nn.Module):
    """The network's modules, on some rows at a time."""

    def __init__(self, branch: ModulationBranch, dtype: torch.dtype) -> None:
        super().__init__()
        self.branch, self.dtype = branch, dtype

    def forward(self, aligned: Tensor, vectors: ModulationVectors, box: Box) -> Tensor:
        """See :meth:`DeviceModulation.forward`."""
        out = torch.empty_like(aligned, dtype=self.dtype)
        height, width = aligned.shape[-2:]
        left, top, right, bottom = box
        for first in range(0, height, _STRIP_ROWS):
            last = min(first + _STRIP_ROWS, height)
            strip = (left, top + (bottom - top) * first / height, right, top + (bottom - top) * last / height)
            spatial = upsample_crop(vectors.spatial, (last - first, width), [strip])
            rows = aligned[..., first:last, :].float()
            out[..., first:last, :] = self.branch(rows, vectors.temporal, vectors.current, spatial)
        return out


class FusedModulation(nn.Module):
    """All layers of a pixel in one kernel, with TFM and CFM folded into the 1x1 convolutions before them."""

    def __init__(self, branch: ModulationBranch, dtype: torch.dtype, pixels: int = 64, warps: int = 4) -> None:
        super().__init__()
        self.branch, self.dtype, self.pixels, self.warps = branch, dtype, pixels, warps

    def forward(self, aligned: Tensor, vectors: ModulationVectors, box: Box) -> Tensor:
        """See :meth:`DeviceModulation.forward`."""
        kernels = triton_kernels.load()
        aligned = aligned.contiguous(memory_format=torch.channels_last)
        _, channels, height, width = aligned.shape
        block = triton_kernels.power_of_two(channels)
        layers = len(self.branch.convs)
        weights = aligned.new_zeros(layers, block, block, dtype=torch.float32)
        biases = aligned.new_zeros(layers, block, dtype=torch.float32)
        for layer, conv in enumerate(self.branch.convs):
            assert isinstance(conv, nn.Conv2d) and conv.bias is not None
            scale, shift = (vectors.current if layer else vectors.temporal)[0].float().chunk(2)
            weights[layer, :channels, :channels] = (conv.weight.flatten(1) * scale[:, None]).t()
            biases[layer, :channels] = conv.bias * scale + shift
        spatial = vectors.spatial[0].float().permute(1, 2, 0).contiguous()
        small_rows, small_columns = spatial.shape[:2]
        left, top, right, bottom = box
        # Where pixel (0, 0) lies among V_SM's, and how far it is to the next: align_corners=False.
        step_y, step_x = (bottom - top) * small_rows / height, (right - left) * small_columns / width
        out = aligned.new_empty(1, height, width, channels, dtype=self.dtype)
        kernels.modulate[(-(-height * width // self.pixels),)](
            aligned,
            weights,
            biases,
            spatial,
            out,
            width,
            height * width,
            channels,
            small_rows,
            small_columns,
            top * small_rows + step_y / 2 - 0.5,
            left * small_columns + step_x / 2 - 0.5,
            step_y,
            step_x,
            LAYERS=layers,
            PIXELS=self.pixels,
            CHANNELS=block,
            num_warps=self.warps,
            num_stages=1,
        )
        return out.permute(0, 3, 1, 2)

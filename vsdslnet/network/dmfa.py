"""DMFA, Dynamic Multi-Frame Alignment (figure 5): LDOE estimates offsets, a deformable conv aligns."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet.network.blocks import DepthwiseConv, he_init
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.pixel_blocks import unshuffled

__all__ = ["DMFA", "LDOE", "MAX_OFFSET_PX", "DeformableConv", "DynamicKernel"]

MAX_OFFSET_PX = 41.0
"""Offsets are clamped to this many pixels, so that a tile's halo is known."""

_STEM_SIDE = 3


class DynamicKernel(nn.Module):
    """Predicts LDOE's 7x7 depthwise kernel from the frames themselves (Han et al. 2022).

    Global average -> 1x1 to a quarter of the width -> norm -> ReLU -> 1x1 to width * 49.
    The reference uses BatchNorm there; over one vector a sample its statistics are noise, so a
    LayerNorm stands in its place (the same number of parameters, no state, no batch coupling).
    """

    def __init__(self, features: int, kernel: int) -> None:
        super().__init__()
        self.features = features
        self.kernel = kernel
        self.squeeze = nn.Linear(features, features // 4, bias=False)
        self.norm = nn.LayerNorm(features // 4)
        self.expand = nn.Linear(features // 4, features * kernel * kernel)
        self.bias = nn.Parameter(torch.zeros(features))
        # Starts as the identity: a delta in the middle, whatever the picture.
        nn.init.normal_(self.expand.weight, std=1e-3)
        with torch.no_grad():
            delta = torch.zeros(features, kernel, kernel)
            delta[:, kernel // 2, kernel // 2] = 1
            self.expand.bias.copy_(delta.flatten())

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, H, W) -> kernels (N, C, k, k)."""
        pooled = x.mean(dim=(-2, -1))
        weights: Tensor = self.expand(torch.relu(self.norm(self.squeeze(pooled))))
        return weights.view(-1, self.features, self.kernel, self.kernel)

    def apply_kernel(self, x: Tensor, kernels: Tensor) -> Tensor:
        """Depthwise convolution of each sample with its own kernels; zero padding keeps the size."""
        n, c, h, w = x.shape
        weight = kernels.to(x.dtype).reshape(n * c, 1, self.kernel, self.kernel)
        # A channels-last sample stays so: n is 1 at inference, where this view costs nothing.
        y = F.conv2d(x.reshape(1, n * c, h, w), weight, padding=self.kernel // 2, groups=n * c)
        return y.reshape(n, c, h, w) + self.bias.to(x.dtype).view(1, c, 1, 1)


class LDOE(nn.Module):
    """Large-kernel Dynamic Offset Estimation (section "DMFA").

    3x3 stride 2, ReLU, DW17, dynamic DW7, DW17, ReLU, 4x4 transposed stride 2, ReLU, and a
    zero-initialised 3x3 "offset conv" that the paper does not name: straight after a ReLU no offset
    could be negative. ``offset_conv=False`` is the letter: the transposed conv makes the offsets.
    """

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__()
        features = config.features
        outputs = config.frames * config.deform_kernel**2 * 2
        self.scale = config.scale
        self.stem = nn.Conv2d(3 * config.scale**2 * config.frames, features, _STEM_SIDE, stride=2, padding=1)
        self.depthwise_in = DepthwiseConv(features, config.kernel)
        self.dynamic = DynamicKernel(features, config.dynamic_kernel) if config.dynamic_kernel else None
        self.depthwise_out = DepthwiseConv(features, config.kernel)
        self.up = nn.ConvTranspose2d(features, features if config.offset_conv else outputs, 4, stride=2, padding=1)
        self.offset = nn.Conv2d(features, outputs, 3, padding=1) if config.offset_conv else None
        he_init(self)
        self._start_from_differences(config)
        if self.offset is not None:
            nn.init.zeros_(self.offset.weight)
            nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def _start_from_differences(self, config: DSLNetConfig) -> None:
        """Half of the stem's features start as differences of each frame to the centre: motion, amplified."""
        kernels = self.stem.weight[: config.features // 2].view(
            -1, config.frames, 3 * config.scale**2, _STEM_SIDE, _STEM_SIDE
        )
        kernels *= 4
        kernels[:, config.radius] -= kernels.sum(dim=1)

    def encode(self, frames: Tensor) -> Tensor:
        """Stacked frames (N, 3F, H, W), whole blocks -> features (N, C, ceil(h/2), ceil(w/2)) of its h x w blocks."""
        y: Tensor = self.depthwise_in(torch.relu(self.stem(unshuffled(frames, self.scale))))
        return y

    def kernels(self, encoded: Tensor) -> Tensor | None:
        """The dynamic kernels (N, C, k, k) that whole frames ask for: a global condition."""
        return None if self.dynamic is None else self.dynamic(encoded)

    def offsets(self, encoded: Tensor, kernels: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Half-resolution features -> offsets in pixels (N, F*k*k*2, h, w) of ``size`` blocks, y before x."""
        y = encoded
        if self.dynamic is not None and kernels is not None:
            y = self.dynamic.apply_kernel(y, kernels)
        y = torch.relu(self.depthwise_out(y))
        y = torch.relu(self.up(y))[..., : size[0], : size[1]]
        if self.offset is not None:
            y = self.offset(y)
        return y.float().clamp(-MAX_OFFSET_PX, MAX_OFFSET_PX)


class DeformableConv(nn.Module):
    """Deformable 3x3 convolution without mask, one offset group a frame (Dai et al. 2017).

    Sampling is bilinear with zeros outside, as torchvision's ``deform_conv2d``; written as
    ``grid_sample`` and one matrix product, which is faster on CPUs in both directions. Of blocks larger than a
    pixel each tap has one offset, in pixels, for all the pixels of its block.
    """

    def __init__(self, frames: int, features: int, *, kernel: int = 3, scale: int = 1) -> None:
        super().__init__()
        self.frames, self.kernel, self.scale = frames, kernel, scale
        self.weight = nn.Parameter(torch.empty(features, 3 * scale**2 * frames, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(features))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, frames: Tensor, offsets: Tensor) -> Tensor:
        """Frames (N, 3F, H, W) of h x w whole blocks, offsets in pixels (N, F*k*k*2, h, w) -> (N, C, h, w)."""
        columns = self.sample(frames, offsets)
        weight = self.weight.to(columns.dtype).flatten(1)[..., None, None]
        return F.conv2d(columns, weight, self.bias.to(columns.dtype))

    def sample(self, frames: Tensor, offsets: Tensor) -> Tensor:
        """The sampled values of each block: (N, 3F*s*s*k*k, h, w), in the order of the flattened weight."""
        n, _, height, width = frames.shape
        f, k, s = self.frames, self.kernel**2, self.scale
        h, w = height // s, width // s
        planes = offsets.float().reshape(n * f * k, 2, h, w)
        if s > 1:
            planes = F.interpolate(planes, scale_factor=s, mode="nearest")
        grid = planes.view(n * f, k, 2, height, width)
        ys = torch.arange(height, device=frames.device, dtype=torch.float32).view(1, 1, height, 1)
        xs = torch.arange(width, device=frames.device, dtype=torch.float32).view(1, 1, 1, width)
        tap = s * (torch.arange(self.kernel, device=frames.device, dtype=torch.float32) - self.kernel // 2)
        tap_y = tap.repeat_interleave(self.kernel).view(1, k, 1, 1)
        tap_x = tap.repeat(self.kernel).view(1, k, 1, 1)
        # align_corners=False puts pixel i's centre at (2i + 1) / size - 1.
        gy = (2 * (grid[:, :, 0] + ys + tap_y) + 1) / height - 1
        gx = (2 * (grid[:, :, 1] + xs + tap_x) + 1) / width - 1
        sampled = F.grid_sample(
            frames.float().reshape(n * f, 3, height, width),
            torch.stack([gx, gy], dim=-1).reshape(n * f, k * height, width, 2),
            mode="bilinear",
            padding_mode="zeros",
            align_corners=False,
        )
        # (N*F, 3, k, H, W) -> a pixel of the block before the tap, within a channel of a frame.
        sampled = sampled.reshape(n, f * 3, k, h, s, w, s).permute(0, 1, 4, 6, 2, 3, 5)
        return sampled.reshape(n, f * 3 * s * s * k, h, w)


class DMFA(nn.Module):
    """Dynamic Multi-Frame Alignment: stacked frames -> aligned, fused features of the centre frame."""

    def __init__(self, config: DSLNetConfig) -> None:
        super().__init__()
        self.scale = config.scale
        self.ldoe = LDOE(config)
        taps = {"kernel": config.deform_kernel, "scale": config.scale}
        self.deform = DeformableConv(config.frames, config.features, **taps)

    def forward(self, frames: Tensor, kernels: Tensor | None = None) -> Tensor:
        """Frames (N, 3F, H, W) of h x w whole blocks -> F_Aligned (N, C, h, w)."""
        return self.align(frames, kernels)[0]

    def align(self, frames: Tensor, kernels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """F_Aligned, and the offsets (N, F*k*k*2, h, w) in pixels that it was sampled with.

        ``kernels`` are the dynamic kernels of the whole frames; None takes them from ``frames``.
        """
        encoded = self.ldoe.encode(frames)
        if kernels is None:
            kernels = self.ldoe.kernels(encoded)
        size = (frames.shape[-2] // self.scale, frames.shape[-1] // self.scale)
        offsets = self.ldoe.offsets(encoded, kernels, size)
        return self.deform(frames, offsets), offsets

"""A DSLNet laid out for a device: whole frames, channels-last, its layers in the forms that run fastest there.

The network's own modules do what they do; those that cost most are exchanged for others of the same map. In half
precision fp32 are ConditionNet, the stem (its weights take differences of frames), the dynamic kernel's prediction, the
sampling, the modulation, the analytic base, the gate and the sum. bf16 has 8 bits: there what residual blocks add to,
the residual branch's first convolution and the head are fp32 as well, as on a CPU.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from vsdslnet.inference.cpu.strip_layers import rounded
from vsdslnet.inference.cpu.strip_network import reach_blocks
from vsdslnet.inference.cuda.convolution import DeviceConv
from vsdslnet.inference.cuda.deformable import DeviceDeformable
from vsdslnet.inference.cuda.depthwise import DeviceDepthwise
from vsdslnet.inference.cuda.modulation import DeviceModulation
from vsdslnet.network.blocks import LKRB, DepthwiseConv
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dmfa import MAX_OFFSET_PX, DynamicKernel
from vsdslnet.network.dslnet import Conditions, DSLNet, upsample_crop
from vsdslnet.network.pixel_blocks import whole_blocks

__all__ = ["BAND_STEP", "DeviceNetwork", "halo_rows"]

BAND_STEP = 16
"""Rows that bands begin at a multiple of: two blocks of the largest scale, since LDOE halves the resolution."""

_EXACT = ("stfm.condition.", "stfm.modulation.", "dmfa.ldoe.stem", "dmfa.ldoe.dynamic.", "dmfa.deform")
_EXACT_IN_BF16 = ("stfm.residual.0", "head")
_FINISHED = ("stfm.residual.", "lkqe.", "head", "dmfa.ldoe.offset")
"""Convolutions of as many pixels as the picture has, or blocks: what comes behind them is done in one pass."""


def halo_rows(config: DSLNetConfig) -> int:
    """Rows of pixels beside a band that its rows depend on, a multiple of ``BAND_STEP``."""
    trunk, offsets = reach_blocks(config)
    # A sample lies as far as an offset goes, from the outermost pixel of the outermost tap, and has a neighbour.
    sampling = math.ceil(MAX_OFFSET_PX) + config.scale * (config.deform_kernel // 2 + 1)
    reach = config.scale * trunk + max(config.scale * offsets, sampling)
    return -(-reach // BAND_STEP) * BAND_STEP


class DeviceNetwork:
    """Weights and layers of a network on a device; holds no state between windows."""

    def __init__(self, network: DSLNet, device: torch.device, dtype: torch.dtype) -> None:
        self.config = network.config
        self.dtype = dtype
        self._network = _laid_out(network, device, dtype)
        self._modulation = DeviceModulation(self._network.stfm.modulation, dtype).to(device)

    def layers_with_forms(self) -> Iterator[DeviceConv | DeviceDepthwise | DeviceDeformable | DeviceModulation]:
        """The layers that can be computed in several ways."""
        for layer in (*self._network.modules(), self._modulation):
            if isinstance(layer, DeviceConv | DeviceDepthwise | DeviceDeformable | DeviceModulation):
                yield layer

    def conditions(self, window: Tensor) -> Conditions:
        """Whole frames (2T+1, 3, H, W) -> the conditions under which their bands are rendered."""
        return self._network.conditions(window[None])

    def render(self, window: Tensor) -> Tensor:
        """Whole frames (2T+1, 3, H, W), fp32, on the device -> PQ (3, H, W), fp32, not clamped."""
        # The dynamic kernels come from the frames at hand, which are whole: nothing is encoded twice.
        return self._rendered(window, self._network.shared_conditions(window[None]), 0, window.shape[-2])

    def render_band(self, window: Tensor, conditions: Conditions, top: int, bottom: int) -> Tensor:
        """Rows ``top`` (a multiple of ``BAND_STEP``) to ``bottom`` of the picture: (3, bottom - top, W)."""
        halo = halo_rows(self.config)
        first, last = max(0, top - halo), min(window.shape[-2], bottom + halo)
        return self._rendered(window, conditions, first, last)[:, top - first : bottom - first]

    def _rendered(self, window: Tensor, conditions: Conditions, first: int, last: int) -> Tensor:
        """Rows ``first`` to ``last`` of the picture, from the frames' rows alone."""
        height, width = window.shape[-2:]
        rows = window[None, ..., first:last, :]
        sdr, correction = self._pixels(rows, conditions, first, height)
        lines = conditions.lines
        if lines is not None:
            lines = upsample_crop(lines, (last - first, width), [(0.0, first / height, 1.0, last / height)])
        return self._network.compose(sdr, correction, lines)[0]

    def _pixels(self, rows: Tensor, conditions: Conditions, first: int, height: int) -> tuple[Tensor, Tensor]:
        """The SDR frame to take the base of and the correction, with feature maps that are free once they are read."""
        stfm, scale = self._network.stfm, self.config.scale
        window = whole_blocks(rows, scale)
        # Of the frame in whole blocks, as the modulation's planes are laid over it.
        whole = -(-height // scale) * scale
        box = (0.0, first / whole, 1.0, (first + window.shape[-2]) / whole)
        skip = self._network.dmfa(window.flatten(1, 2), conditions.kernels)
        modulated = self._modulation(skip, conditions.vectors, box)
        *layers, last = stfm.residual
        for layer in layers:
            skip = layer(skip)
        modulated = last(skip, add=modulated)
        del skip
        evidence = self._network.evidence(window)
        modulated = self._network.with_evidence(modulated, evidence)
        for layer in self._network.lkqe:
            modulated = layer(modulated)
        said = self._network.head(modulated).float()
        sdr, correction = self._network.pixels_of(said, window, evidence)
        height, width = rows.shape[-2:]
        return sdr[..., :height, :width], correction[..., :height, :width]


def _laid_out(network: DSLNet, device: torch.device, dtype: torch.dtype) -> DSLNet:
    """A copy with its layers exchanged."""
    network = copy.deepcopy(network).eval().requires_grad_(False)
    exact = _EXACT + (_EXACT_IN_BF16 if dtype == torch.bfloat16 else ())
    for name, module in list(network.named_modules()):
        if isinstance(module, LKRB):
            _exchange(network, name, _DeviceLKRB(module, dtype))
    for name, module in list(network.named_modules()):
        if isinstance(module, DepthwiseConv):
            _exchange(network, name, DeviceDepthwise(module, dtype))
        elif isinstance(module, nn.Conv2d) and name.startswith(_FINISHED):
            _exchange(network, name, DeviceConv(module, torch.float32 if name.startswith(exact) else dtype))
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            kept = torch.float32 if name.startswith(exact) else dtype
            weight = module.weight.detach()
            # Transposed, a tap's sum is not what an even area sees.
            weight = rounded(weight, kept) if isinstance(module, nn.Conv2d) else weight
            module.weight.data = weight.to(kept)
            if module.bias is not None:
                module.bias.data = module.bias.detach().to(kept)
            module.__class__ = _Conv2d if isinstance(module, nn.Conv2d) else _ConvTranspose2d
        elif isinstance(module, DynamicKernel):
            module.__class__ = _DynamicKernel
    for branch in (network.stfm.residual, network.lkqe):
        _fold_activations(branch)
    deform = network.dmfa.deform
    _exchange(network, "dmfa.deform", DeviceDeformable(deform, torch.float32 if dtype == torch.bfloat16 else dtype))
    return network.to(device).to(memory_format=torch.channels_last)


def _exchange(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def _fold_activations(layers: nn.Sequential) -> None:
    """Let convolutions of a sequence do what the ReLU behind each does."""
    for place in range(len(layers) - 1):
        conv, activation = layers[place], layers[place + 1]
        if isinstance(conv, DeviceConv) and isinstance(activation, nn.ReLU | nn.LeakyReLU):
            layers[place] = _Activated(conv, getattr(activation, "negative_slope", 0.0))
            layers[place + 1] = nn.Identity()


class _Activated(nn.Module):
    def __init__(self, conv: DeviceConv, slope: float) -> None:
        super().__init__()
        self.conv, self.slope = conv, slope

    def forward(self, x: Tensor) -> Tensor:
        """See :meth:`DeviceConv.forward`."""
        y: Tensor = self.conv(x, slope=self.slope)
        return y


class _Conv2d(nn.Conv2d):
    """A convolution that takes what it gets in its own precision."""

    def forward(self, x: Tensor) -> Tensor:
        """See the base."""
        return super().forward(x.to(self.weight.dtype))


class _ConvTranspose2d(nn.ConvTranspose2d):
    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """See the base."""
        return super().forward(x.to(self.weight.dtype), output_size)


class _DynamicKernel(DynamicKernel):
    """Its mean over the picture is fp32; a single pixel of that value has the same kernels."""

    def forward(self, x: Tensor) -> Tensor:
        """See the base."""
        return super().forward(x.mean(dim=(-2, -1), keepdim=True, dtype=torch.float32))


class _DeviceLKRB(nn.Module):
    """An LKRB whose ReLUs and sum are part of its convolutions; in bf16 what it adds to is fp32."""

    def __init__(self, block: LKRB, dtype: torch.dtype) -> None:
        super().__init__()
        self.text = block.order == "text"
        self.depthwise = block.depthwise
        self.conv = block.conv
        self.sum_dtype = torch.float32 if dtype == torch.bfloat16 else dtype

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        if self.text:
            residual = self.depthwise(self.conv(x), relu_in=True, relu_out=True)
            out: Tensor = residual.to(self.sum_dtype).add_(x)
        else:
            out = self.conv(self.depthwise(x, relu_in=True, relu_out=True), add=x.to(self.sum_dtype))
        return out

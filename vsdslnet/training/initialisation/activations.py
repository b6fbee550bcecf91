"""Weights initialised from data: thresholds spread over what pictures hold, pooled features on one scale.

Left to PyTorch's initialisation, the vectors of two pictures differ by 1e-4 and ConditionNet learns next to
nothing in the time that there is. Every layer here is scaled to unit deviation over real pictures, its
thresholds are put at random quantiles, and TME and CME begin as a whitening of the pooled features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet.network.blocks import LKRB, RESIDUAL_START
from vsdslnet.network.dmfa import DeformableConv
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.stfm import ColorBlock, ConditionNet
from vsdslnet.training.pointwise.flat_field import (
    aligned_points,
    bias_of,
    modulate,
    point_block,
    point_conv,
    spatial_at,
    vectors_of_frames,
)
from vsdslnet.training.pointwise.points import PointBatch

__all__ = ["initialise_activations"]

_SPATIAL_NOISE = 0.1
"""Share of He's deviation that the taps beside the middle start with: a pointwise network, nearly."""
_LARGE_KERNEL_SD = 0.003
_WHITENING_FLOOR = 0.3
"""Added to the variances before whitening: what hardly varies between pictures stays small, or is learnt by heart."""
_VECTOR_SD = 0.3
_SPATIAL_VECTOR_SD = 0.15
_BRANCH_SD = 0.7
_FEATURE_SAMPLES = 20_000


@torch.no_grad()
def initialise_activations(network: DSLNet, batch: PointBatch) -> None:
    """Initialise ConditionNet, modulation, residual branch and LKQE from some hundred pictures and torch's seed."""
    _start_pointwise(network)
    maps = _start_condition(network.stfm.condition, batch.frames)
    vectors = vectors_of_frames(network, maps)
    spatial = spatial_at(vectors.spatial, batch.positions)
    _start_aligned(network, batch.sdr)
    aligned = aligned_points(network, batch.sdr)

    first, *rest = (conv for conv in network.stfm.modulation.convs if isinstance(conv, nn.Conv2d))
    _fit(first, point_conv(first, aligned))
    y = modulate(point_conv(first, aligned), vectors.temporal[:, None])
    for conv in rest:
        if conv is rest[-1]:
            _fit(conv, point_conv(conv, torch.relu(y)), deviation=_BRANCH_SD, quantiles=None)
        else:
            _fit(conv, point_conv(conv, torch.relu(y)))
        y = modulate(modulate(point_conv(conv, torch.relu(y)), vectors.current[:, None]), spatial)
    skip = _start_chain(network.stfm.residual, aligned)
    _start_chain(network.lkqe, y + skip)


def _start_pointwise(network: DSLNet) -> None:
    """Every convolution of the trunk: one tap of He's size in the middle, little around it."""
    for part in (network.stfm.residual, network.lkqe):
        for conv in (m for m in part.modules() if isinstance(m, nn.Conv2d)):
            middle = conv.kernel_size[0] // 2
            if conv.groups > 1:
                conv.weight.normal_(std=_LARGE_KERNEL_SD)
                conv.weight[..., middle, middle] += 1
            else:
                tap = nn.init.kaiming_normal_(torch.empty(conv.out_channels, conv.in_channels), nonlinearity="relu")
                conv.weight.normal_(std=_SPATIAL_NOISE * (2 / conv.weight[0].numel()) ** 0.5)
                conv.weight[..., middle, middle] += tap
        for block in (m for m in part.modules() if isinstance(m, LKRB)):
            block.conv.weight.mul_(RESIDUAL_START)


def _start_condition(condition: ConditionNet, frames: Tensor) -> Tensor:
    """ColorBlocks, TME, CME and SME from pictures (N, 3, h, w); returns the last block's features."""
    y = frames
    for block in (b for b in condition.blocks if isinstance(b, ColorBlock)):
        nn.init.kaiming_normal_(block.conv.weight, a=0.1)
        bias_of(block.conv).zero_()
        pooled = F.avg_pool2d(block.conv(y), 2, ceil_mode=True, count_include_pad=False).movedim(1, -1).flatten(0, -2)
        _fit(block.conv, pooled[torch.randint(len(pooled), (_FEATURE_SAMPLES,))])
        y = block(y)
    means = y.mean(dim=(-2, -1))
    variances, directions = torch.linalg.eigh(torch.cov(means.T))
    width = condition.cme_in.out_channels
    white = (directions[:, -width:] / (variances[-width:] + _WHITENING_FLOOR).sqrt()).T
    for layer, copies in ((condition.tme_in, condition.frames), (condition.cme_in, 1)):
        # A random rotation: as white as before, but every unit sees a mixture.
        rows = torch.linalg.qr(torch.randn(width, width))[0] @ white
        # TME starts as the mean over the frames, so that a window takes its time over a change.
        layer.weight.copy_((rows / copies).repeat(1, copies)[..., None, None])
        bias_of(layer).copy_(-rows @ means.mean(dim=0))
    for last in (condition.tme_out, condition.cme_out):
        last.weight.normal_(std=_VECTOR_SD / width**0.5)
    smooth = F.leaky_relu(y, 0.1).movedim(1, -1).flatten(0, -2)
    condition.sme.weight.normal_()
    response = F.linear(smooth, condition.sme.weight[..., 0, 0])
    factor = _SPATIAL_VECTOR_SD / response.std(dim=0)
    condition.sme.weight.mul_(factor[:, None, None, None])
    bias_of(condition.sme).copy_(-response.mean(dim=0) * factor)
    bias_of(condition.sme)[:width] += 1
    return y


def _start_aligned(network: DSLNet, sdr: Tensor) -> None:
    deform, radius = network.dmfa.deform, network.config.radius
    deform.weight.normal_(std=_SPATIAL_NOISE * (2 / deform.weight[0].numel()) ** 0.5)
    deform.weight[:, 3 * radius : 3 * radius + 3, 1, 1] += (2 / 3) ** 0.5 * torch.randn(deform.weight.shape[0], 3)
    _fit(deform, aligned_points(network, sdr))


def _start_chain(layers: nn.Sequential, x: Tensor) -> Tensor:
    """Fit the plain convolutions of a branch one after the other; returns its answer."""
    last = layers[-1]
    for layer in layers:
        if isinstance(layer, LKRB):
            x = point_block(layer, x)
        elif isinstance(layer, nn.Conv2d):
            if layer is last:
                _fit(layer, point_conv(layer, x), deviation=_BRANCH_SD, quantiles=None)
            else:
                _fit(layer, point_conv(layer, x))
            x = point_conv(layer, x)
        else:
            x = layer(x)
    return x


def _fit(
    layer: nn.Conv2d | DeformableConv,
    response: Tensor,
    *,
    deviation: float = 1.0,
    quantiles: tuple[float, float] | None = (0.05, 0.8),
) -> None:
    """Scale a layer to ``deviation`` over its response (..., C); threshold at a random quantile, or zero mean."""
    weight, bias = layer.weight, bias_of(layer)
    flat = response.flatten(0, -2) - bias
    factor = deviation / flat.std(dim=0).clamp(min=1e-4)
    weight.mul_(factor.view(-1, *[1] * (weight.dim() - 1)))
    if quantiles is None:
        bias.copy_(-flat.mean(dim=0) * factor)
        return
    low, high = quantiles
    ranks = ((low + (high - low) * torch.rand(flat.shape[1])) * (len(flat) - 1)).long()
    bias.copy_(-flat.sort(dim=0).values[ranks, torch.arange(flat.shape[1])] * factor)

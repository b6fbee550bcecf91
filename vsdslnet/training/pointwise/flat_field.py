"""The network on flat fields, where every convolution is the sum of its taps: a point costs a tenth of a pixel.

Tone and colour of a picture are a function of a point's colour, its place and the conditions. Learning
them from scattered points shows the network ten times the pictures in the same time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsdslnet.network.blocks import LKRB
from vsdslnet.network.dmfa import DeformableConv
from vsdslnet.network.dslnet import MAP_CHANNELS, DSLNet, mapped_colors
from vsdslnet.network.frame_blend import STILL_FEATURE, evidence_feature_channels
from vsdslnet.network.stfm import ModulationVectors

__all__ = [
    "aligned_points",
    "bias_of",
    "modulate",
    "point_block",
    "point_conv",
    "render_points",
    "spatial_at",
    "vectors_of_frames",
    "walk",
]


def bias_of(layer: nn.Conv2d | DeformableConv) -> Tensor:
    """The bias that every layer of DSLNet's trunk has."""
    if layer.bias is None:
        raise TypeError(f"{layer} has no bias")
    return layer.bias


def point_conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution's answer to a flat field: (N, P, C) -> (N, P, C').

    Its gradient goes to the middle tap alone: the others would all learn the same box blur.
    """
    middle = conv.kernel_size[0] // 2
    tap = conv.weight[..., middle, middle]
    weight = tap + (conv.weight.sum(dim=(-2, -1)) - tap).detach()
    if conv.groups > 1:
        out: Tensor = x * weight[:, 0] + bias_of(conv)
        return out
    return F.linear(x, weight, conv.bias)


def aligned_points(network: DSLNet, sdr: Tensor) -> Tensor:
    """F_Aligned of points that look the same in all frames: SDR (N, P, 3) -> (N, P, C).

    The gradient goes to the centre frame's middle tap.
    """
    deform = network.dmfa.deform
    # Frames, colours, the pixels of a block, and the taps.
    weight = deform.weight.view(len(deform.weight), network.config.frames, 3, deform.scale**2, deform.kernel**2)
    tap = weight[:, network.config.radius, :, :, weight.shape[-1] // 2].sum(dim=-1)
    total = weight.sum(dim=(-2, -1)).sum(dim=1)
    return F.linear(sdr, tap + (total - tap).detach(), deform.bias)


def walk(layers: nn.Sequential, x: Tensor) -> Tensor:
    """A chain of convolutions, activations and LKRBs over points (N, P, C)."""
    for layer in layers:
        if isinstance(layer, LKRB):
            x = point_block(layer, x)
        else:
            x = point_conv(layer, x) if isinstance(layer, nn.Conv2d) else layer(x)
    return x


def point_block(block: LKRB, x: Tensor) -> Tensor:
    """A Large Kernel Residual Block's answer to a flat field."""
    if block.order == "text":
        return x + torch.relu(point_conv(block.depthwise, torch.relu(point_conv(block.conv, x))))
    return x + point_conv(block.conv, torch.relu(point_conv(block.depthwise, torch.relu(x))))


def render_points(
    network: DSLNet, sdr: Tensor, vectors: ModulationVectors, spatial: Tensor, lines: Tensor | None = None
) -> Tensor:
    """Points under their frames' conditions: SDR (N, P, 3), V_SM at them (N, P, 2C) -> PQ (N, 3, P, 1).

    ``lines`` (N, 2, P, 1) of the neighbourhood at them; without, the base takes each for an even area.
    """
    aligned = aligned_points(network, sdr)
    temporal, current = vectors.temporal[:, None], vectors.current[:, None]
    convs = network.stfm.modulation.convs
    y = modulate(point_conv(convs[0], aligned), temporal)  # type: ignore[arg-type]
    for conv in convs[1:]:
        y = modulate(modulate(point_conv(conv, torch.relu(y)), current), spatial)  # type: ignore[arg-type]
    y = y + walk(network.stfm.residual, aligned)
    y = walk(network.lkqe, F.pad(y, (0, evidence_feature_channels(network.config)), value=STILL_FEATURE))
    correction = _of_points(network, point_conv(network.head, y), sdr)
    return network.compose(sdr.transpose(1, 2)[..., None], correction.transpose(1, 2)[..., None], lines)


def _of_points(network: DSLNet, said: Tensor, sdr: Tensor) -> Tensor:
    """What the head says of blocks that are even (N, P, C) -> the mean correction of their pixels (N, P, 3)."""
    pixels = 3 * network.config.scale**2
    correction: Tensor = said[..., :pixels].reshape(*said.shape[:2], 3, -1).mean(dim=-1)
    if not network.config.color_map:
        return correction
    maps = said[..., pixels : pixels + MAP_CHANNELS].transpose(1, 2)[..., None]
    mapped = mapped_colors(maps, sdr.transpose(1, 2)[..., None])
    return correction + mapped[..., 0].transpose(1, 2)


def modulate(x: Tensor, vector: Tensor) -> Tensor:
    """Points (N, P, C) scaled and shifted by a vector (N, P or 1, 2C): Eqs. 6 and 7."""
    scale, shift = vector.chunk(2, dim=-1)
    return x * scale + shift


def vectors_of_frames(network: DSLNet, features: Tensor) -> ModulationVectors:
    """Modulation vectors of windows in which nothing moves: frame features (N, 128, h, w)."""
    still = features[:, None].expand(-1, network.config.frames, -1, -1, -1)
    return network.stfm.condition.vectors(still)


def spatial_at(spatial: Tensor, positions: Tensor) -> Tensor:
    """V_SM (N, 2C, h, w) at positions (N, P, 2), x before y, 0..1 of the frame: (N, P, 2C)."""
    grid = (2 * positions - 1)[:, :, None]
    sampled = F.grid_sample(spatial, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled[..., 0].transpose(1, 2)

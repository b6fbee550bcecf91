"""A start for LDOE that already sees motion, solved for where the motion is known.

The task's own loss says almost nothing about offsets that start at zero, and a thousand steps towards
known motion taught a random start next to nothing. So LDOE starts as Lucas and Kanade would have it: the
stem's units are gradient plus and minus difference of each neighbour and the centre, the first large
kernel averages their magnitudes (mean|Ix + It| - mean|Ix - It| grows with the motion along x), the rest
passes them on, and the offset conv is the least-squares readout of motion over simulated camera moves.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from vsdslnet.color.primaries import BT709_LUMA
from vsdslnet.network.dmfa import LDOE
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.batches import Batch

__all__ = ["endpoint_error_px", "motion_distance", "start_alignment"]

_STEM_GAIN = 8.0
_DIFFERENCE_SHARES = (0.5, 0.2)
"""Weight of the difference against the gradient: the estimate is linear up to about 2 and 5 half-resolution px."""
_REACH_PX = 10.0
_BORDER_PX = 4
_STEP_PX = 4
_RIDGE = 1e-3


@torch.no_grad()
def start_alignment(network: DSLNet, batches: Iterable[Batch]) -> None:
    """Give LDOE its start and solve its readout over the batches' known motion (fp32)."""
    ldoe = network.dmfa.ldoe
    if ldoe.offset is None:
        return  # the paper's letter has no readout to solve
    _start_units(ldoe, network.config.frames)
    frames, width = network.config.frames, ldoe.offset.in_channels + 1
    normal = torch.zeros(frames, width, width, dtype=torch.float64)
    moments = torch.zeros(frames, width, 2, dtype=torch.float64)
    inner = slice(_BORDER_PX, -_BORDER_PX, _STEP_PX)
    for batch in batches:
        features = _features(ldoe, batch.window.flatten(1, 2))
        rows = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)[..., inner, inner]
        rows = rows.movedim(1, -1).reshape(-1, width).double()
        for frame in range(frames):
            flow = batch.flow[:, frame, :, inner, inner].movedim(1, -1).reshape(-1, 2).double()
            length = flow.norm(dim=1)
            near = length < _REACH_PX  # false for unknown motion (NaN)
            # Relative errors: slow motion is what an aligned neighbour gains most from.
            weighted = rows[near] * (0.3 + length[near, None]) ** -2
            normal[frame] += weighted.T @ rows[near]
            moments[frame] += weighted.T @ flow[near]
    ldoe.offset.weight.zero_()
    for frame in range(frames):
        if frame == network.config.radius:
            continue
        ridge = _RIDGE * normal[frame].diagonal().mean().clamp(min=1e-12) * torch.eye(width, dtype=torch.float64)
        readout = torch.linalg.solve(normal[frame] + ridge, moments[frame]).float().flip(1)  # y before x
        taps = ldoe.offset.weight[18 * frame : 18 * (frame + 1)].view(9, 2, -1, 3, 3)
        taps[..., 1, 1] = readout[:-1].T
        if ldoe.offset.bias is not None:
            ldoe.offset.bias[18 * frame : 18 * (frame + 1)] = readout[-1].repeat(9)


def _start_units(ldoe: LDOE, frames: int) -> None:
    smooth, slope = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([-1.0, 0.0, 1.0])
    along_x, blur = smooth[:, None] * slope / 8, smooth[:, None] * smooth / 16
    centre, unit = frames // 2, 0
    stem = ldoe.stem.weight.view(-1, frames, 3, 3, 3)
    for share in _DIFFERENCE_SHARES:
        for frame in (f for f in range(frames) if f != centre):
            for gradient in (along_x, along_x.T):
                for difference_sign in (1, -1):
                    for sign in (1, -1):  # both halves of a magnitude: ReLU keeps one each
                        if unit == len(stem):
                            break
                        taps = torch.zeros(frames, 3, 3)
                        taps[frame] = gradient / 2 + difference_sign * share * blur
                        taps[centre] = gradient / 2 - difference_sign * share * blur
                        stem[unit] = sign * _STEM_GAIN * taps[:, None] * torch.tensor(BT709_LUMA).view(1, 3, 1, 1)
                        unit += 1
    kernel = ldoe.depthwise_in.kernel_size[0]
    middle = kernel // 2
    ldoe.depthwise_in.weight.fill_(1 / kernel**2)
    ldoe.depthwise_out.weight.zero_()
    ldoe.depthwise_out.weight[..., middle, middle] = 1
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    ldoe.up.weight.zero_()
    ldoe.up.weight[range(len(stem)), range(len(stem))] = line[:, None] * line  # bilinear
    for layer in (ldoe.stem, ldoe.depthwise_in, ldoe.depthwise_out, ldoe.up):
        if layer.bias is not None:
            layer.bias.zero_()


def _features(ldoe: LDOE, frames: Tensor) -> Tensor:
    """What the offset conv sees, at the frames' size."""
    encoded = ldoe.encode(frames)
    kernels = ldoe.kernels(encoded)
    y = encoded if ldoe.dynamic is None or kernels is None else ldoe.dynamic.apply_kernel(encoded, kernels)
    up: Tensor = torch.relu(ldoe.up(torch.relu(ldoe.depthwise_out(y))))
    return up[..., : frames.shape[-2], : frames.shape[-1]]


def endpoint_error_px(network: DSLNet, batch: Batch) -> Tensor:
    """Mean distance in px between a frame's mean offset and its known motion."""
    ldoe = network.dmfa.ldoe
    frames = batch.window.flatten(1, 2)
    encoded = ldoe.encode(frames)
    offsets = ldoe.offsets(encoded, ldoe.kernels(encoded), (frames.shape[-2], frames.shape[-1]))
    return motion_distance(offsets, batch.flow)


def motion_distance(offsets: Tensor, flow: Tensor) -> Tensor:
    """Mean distance in px of each frame's mean offset (N, F*9*2, H, W; y, x) from the flow (N, F, 2; x, y)."""
    n, f, _, h, w = flow.shape
    mean = offsets.float().reshape(n, f, 9, 2, h, w).mean(dim=2).flip(2)
    known = torch.isfinite(flow).all(dim=2, keepdim=True)
    # The floor keeps the square root's gradient finite where both agree.
    distance = ((mean - torch.nan_to_num(flow)).square().sum(dim=2, keepdim=True) + 1e-4).sqrt()
    return (distance * known).sum() / known.sum().clamp(min=1)

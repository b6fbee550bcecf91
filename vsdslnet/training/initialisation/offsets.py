"""LDOE initialised to see motion, solved for where the motion is known.

The task's own loss says almost nothing about offsets that start at zero, and a thousand steps towards
known motion taught a random initialisation next to nothing. So LDOE starts as Lucas and Kanade would have it: the
stem's units are gradient plus and minus difference of each neighbour and the centre, the first large
kernel averages their magnitudes (mean|Ix + It| - mean|Ix - It| grows with the motion along x), the rest
passes them on, and the offset conv is the least-squares readout of motion over simulated camera moves.

Such a sum grows with the picture's contrast as well, and nothing behind the stem could divide by it, except the
dynamic kernel: its norm divides. So some channels hold the constant 1, and their dynamic kernels are the motion of
the frame as a whole (a camera's), as a small regression from the averaged magnitudes says it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vsdslnet.color.primaries import BT709_LUMA
from vsdslnet.network.dmfa import LDOE, DynamicKernel
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.dataset.batches import Batch

__all__ = ["initialise_offsets", "motion_distance"]

_STEM_GAIN = 8.0
_DIFFERENCE_SHARES = (0.5, 0.2)
"""Weight of the difference against the gradient: the estimate is linear up to about 2 and 5 half-resolution px."""
_REACH_PX = 10.0
_BORDER_PX = 4
_STEP_PX = 4
_RIDGE = 1e-3
_SLOW_PX = 0.3
"""Errors count relative to the motion and this: slow motion is what an aligned neighbour gains most from."""
_READOUT_BATCHES = 60
_CAMERA_STEPS = 3000
_CAMERA_CROPS = 512
_CAMERA_RATE = 1e-2
_CAMERA_REACH_PX = 16.0
_CAMERA_KNOWN_SHARE = 0.6


def initialise_offsets(network: DSLNet, draw: Callable[[int], Batch], batches: int) -> None:
    """Initialise LDOE, solved over the known motion of ``draw(0)`` to ``draw(batches - 1)``, in fp32."""
    ldoe = network.dmfa.ldoe
    if ldoe.offset is None:
        return  # the paper's letter has no readout to solve
    frames = network.config.frames
    camera_units = _camera_units(ldoe, frames)
    with torch.no_grad():
        _start_units(ldoe, frames, len(ldoe.stem.weight) - camera_units)
    if camera_units:
        _start_camera(ldoe, frames, camera_units, [_pooled_and_motion(ldoe, draw(n)) for n in range(batches)])
    _solve_readout(network, draw, min(batches, _READOUT_BATCHES))


@torch.no_grad()
def _solve_readout(network: DSLNet, draw: Callable[[int], Batch], batches: int) -> None:
    """The offset conv as the least-squares readout of motion."""
    ldoe = network.dmfa.ldoe
    assert ldoe.offset is not None
    frames, width = network.config.frames, ldoe.offset.in_channels + 1
    normal = torch.zeros(frames, width, width, dtype=torch.float64)
    moments = torch.zeros(frames, width, 2, dtype=torch.float64)
    inner = slice(_BORDER_PX, -_BORDER_PX, _STEP_PX)
    for number in range(batches):
        batch = draw(number)
        features = _features(ldoe, batch.window.flatten(1, 2))
        rows = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)[..., inner, inner]
        rows = rows.movedim(1, -1).reshape(-1, width).double()
        for frame in range(frames):
            flow = batch.flow[:, frame, :, inner, inner].movedim(1, -1).reshape(-1, 2).double()
            length = flow.norm(dim=1)
            near = length < _REACH_PX  # false for unknown motion (NaN)
            weighted = rows[near] * (_SLOW_PX + length[near, None]) ** -2
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


def _camera_units(ldoe: LDOE, frames: int) -> int:
    """Channels for the camera's motion: both signs of x and y of each neighbour, where there is room for them."""
    units = 4 * (frames - 1)
    return units if ldoe.dynamic is not None and 4 * units <= len(ldoe.stem.weight) else 0


def _start_units(ldoe: LDOE, frames: int, units: int) -> None:
    """The stem's first ``units`` see motion, the others are the constant 1; what follows averages and passes on."""
    smooth, slope = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([-1.0, 0.0, 1.0])
    along_x, blur = smooth[:, None] * slope / 8, smooth[:, None] * smooth / 16
    centre, unit = frames // 2, 0
    stem = ldoe.stem.weight.view(-1, frames, 3, 3, 3)
    for share in _DIFFERENCE_SHARES:
        # Both halves of a magnitude, as ReLU keeps one each; on average they are alike, so one will do if need be.
        signs = (1, -1) if units == len(stem) or share == _DIFFERENCE_SHARES[0] else (1,)
        for frame in (f for f in range(frames) if f != centre):
            for gradient in (along_x, along_x.T):
                for difference_sign in (1, -1):
                    for sign in signs:
                        if unit == units:
                            break
                        taps = torch.zeros(frames, 3, 3)
                        taps[frame] = gradient / 2 + difference_sign * share * blur
                        taps[centre] = gradient / 2 - difference_sign * share * blur
                        stem[unit] = sign * _STEM_GAIN * taps[:, None] * torch.tensor(BT709_LUMA).view(1, 3, 1, 1)
                        unit += 1
    kernel = ldoe.depthwise_in.kernel_size[0]
    middle = kernel // 2
    ldoe.depthwise_in.weight.fill_(1 / kernel**2)
    stem[units:] = 0
    ldoe.depthwise_in.weight[units:] = 0
    ldoe.depthwise_in.weight[units:, :, middle, middle] = 1  # no border: the frame's edge would dim an average
    ldoe.depthwise_out.weight.zero_()
    ldoe.depthwise_out.weight[..., middle, middle] = 1
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    ldoe.up.weight.zero_()
    ldoe.up.weight[range(len(stem)), range(len(stem))] = line[:, None] * line  # bilinear
    for layer in (ldoe.stem, ldoe.depthwise_in, ldoe.depthwise_out, ldoe.up):
        if layer.bias is not None:
            layer.bias.zero_()
    if ldoe.stem.bias is not None:
        ldoe.stem.bias[units:] = 1


@torch.no_grad()
def _pooled_and_motion(ldoe: LDOE, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Averaged features (N, C), each frame's mean motion (N, F, 2; x, y) in px, and whether enough is known of it."""
    pooled = ldoe.encode(batch.window.flatten(1, 2)).mean(dim=(-2, -1))
    known = torch.isfinite(batch.flow).all(dim=2)
    count = known.sum(dim=(-2, -1))
    motion = torch.nan_to_num(batch.flow).sum(dim=(-2, -1)) / count.clamp(min=1)[..., None]
    good = count >= _CAMERA_KNOWN_SHARE * known.shape[-2] * known.shape[-1]
    return pooled, motion, good & (motion.norm(dim=-1) < _CAMERA_REACH_PX)


class _Camera(nn.Module):
    """The dynamic kernel's own layers as a regression: averaged features (N, C) -> motion (N, F - 1, 2) in px.

    Where nothing is to be seen the features are 0, and so is the motion.
    """

    def __init__(self, features: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(features, hidden, bias=False)
        self.norm = nn.LayerNorm(hidden)
        self.expand = nn.Linear(hidden, outputs, bias=False)
        nn.init.ones_(self.norm.bias)  # away from ReLU's bend

    def forward(self, pooled: Tensor) -> Tensor:
        hidden = torch.relu(self.norm(self.squeeze(pooled))) - torch.relu(self.norm.bias)
        motion: Tensor = self.expand(hidden)
        return motion.view(len(pooled), -1, 2)


def _start_camera(ldoe: LDOE, frames: int, units: int, seen: list[tuple[Tensor, Tensor, Tensor]]) -> None:
    """Fit the regression by Adam on what was seen, and put it where the constant channels' kernels come from."""
    pooled, motion, good = (torch.cat(parts) for parts in zip(*seen, strict=True))
    neighbours = [frame for frame in range(frames) if frame != frames // 2]
    motion, good = motion[:, neighbours], good[:, neighbours]
    dynamic = ldoe.dynamic
    assert isinstance(dynamic, DynamicKernel)
    moving = pooled.shape[1] - units
    scale = pooled[:, :moving].mean(dim=0).clamp(min=1e-6)
    camera = _Camera(moving, dynamic.squeeze.out_features, units // 2)
    optimiser = torch.optim.Adam(camera.parameters(), lr=_CAMERA_RATE)
    random = torch.Generator().manual_seed(0)
    for step in range(_CAMERA_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = _CAMERA_RATE * 0.5 * (1 + math.cos(math.pi * step / _CAMERA_STEPS))
        some = torch.randint(len(pooled), (_CAMERA_CROPS,), generator=random)
        error = (camera(pooled[some, :moving] / scale) - motion[some]).square().sum(dim=-1).add(1e-3).sqrt()
        relative = error / (_SLOW_PX + motion[some].norm(dim=-1)) * good[some]
        loss = relative.sum() / good[some].sum().clamp(min=1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        dynamic.squeeze.weight.zero_()
        dynamic.squeeze.weight[:, :moving] = camera.squeeze.weight / scale
        dynamic.norm.load_state_dict(camera.norm.state_dict())
        kernels = dynamic.expand.weight.view(dynamic.features, dynamic.kernel, dynamic.kernel, -1)
        biases = dynamic.expand.bias.view(dynamic.features, dynamic.kernel, dynamic.kernel)
        kernels.zero_()
        biases.zero_()
        middle = dynamic.kernel // 2
        biases[:moving, middle, middle] = 1
        rest = -camera.expand.weight @ torch.relu(camera.norm.bias)
        for first, sign in ((moving, 1), (moving + units // 2, -1)):
            channels = slice(first, first + units // 2)
            kernels[channels, middle, middle] = sign * camera.expand.weight
            biases[channels, middle, middle] = sign * rest
        dynamic.bias.zero_()


def _features(ldoe: LDOE, frames: Tensor) -> Tensor:
    """What the offset conv sees, at the frames' size."""
    encoded = ldoe.encode(frames)
    kernels = ldoe.kernels(encoded)
    y = encoded if ldoe.dynamic is None or kernels is None else ldoe.dynamic.apply_kernel(encoded, kernels)
    up: Tensor = torch.relu(ldoe.up(torch.relu(ldoe.depthwise_out(y))))
    return up[..., : frames.shape[-2], : frames.shape[-1]]


def motion_distance(offsets: Tensor, flow: Tensor) -> Tensor:
    """Mean distance in px of each frame's mean offset (N, F*k*k*2, h, w; y, x) from the flow (N, F, 2, H, W; x, y).

    Offsets of blocks of pixels are compared with the flow in their middle.
    """
    n, f = flow.shape[:2]
    h, w = offsets.shape[-2:]
    scale = flow.shape[-1] // w
    flow = flow[..., scale // 2 :: scale, scale // 2 :: scale]
    mean = offsets.float().reshape(n, f, -1, 2, h, w).mean(dim=2).flip(2)
    known = torch.isfinite(flow).all(dim=2, keepdim=True)
    # The floor keeps the square root's gradient finite where both agree.
    distance = ((mean - torch.nan_to_num(flow)).square().sum(dim=2, keepdim=True) + 1e-4).sqrt()
    return (distance * known).sum() / known.sum().clamp(min=1)

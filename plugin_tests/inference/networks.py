"""Networks and windows for these tests: random, but lively, so that every path shows in the result."""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet

SMALL = DSLNetConfig(radius=1, features=16, kernel=17, gain_radius=2, motion_compensated=False)
BLOCKS = DSLNetConfig(
    radius=1,
    scale=4,
    features=12,
    kernel=5,
    chain=2,
    dynamic_kernel=0,
    deform_kernel=1,
    color_map=True,
    frame_blend=True,
    gain_radius=2,
    motion_compensated=False,
)
"""As the fast model is built: blocks of 4x4 pixels, and a colour map."""


def lively(config: DSLNetConfig = SMALL, seed: int = 0) -> DSLNet:
    """A network whose offsets reach a few pixels and whose correction is plain to see."""
    torch.manual_seed(seed)
    network = DSLNet(config)
    head, ldoe = network.head, network.dmfa.ldoe
    torch.nn.init.normal_(head.weight, std=0.005)
    if ldoe.offset is not None:
        torch.nn.init.normal_(ldoe.offset.weight, std=0.03)
        torch.nn.init.normal_(ldoe.offset.bias, std=2.0)  # type: ignore[arg-type]
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def window(height: int, width: int, *, config: DSLNetConfig = SMALL, seed: int = 1) -> Tensor:
    """Random SDR frames (2T+1, 3, H, W), with some structure larger than a pixel."""
    generator = torch.Generator().manual_seed(seed)
    shape = (config.frames, 3, max(1, height // 8), max(1, width // 8))
    coarse = torch.rand(shape, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return (smooth + 0.2 * torch.rand(config.frames, 3, height, width, generator=generator)).clamp(0, 1)

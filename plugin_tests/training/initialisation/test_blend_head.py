"""A head with channels that blend frames renders what it did before, and can learn."""

from __future__ import annotations

import torch
from torch import nn

from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.training.initialisation.blend_head import with_frame_blend

SMALL = DSLNetConfig(radius=1, features=8, kernel=5, dynamic_kernel=3, gain_radius=2)


def test_it_renders_what_it_did_before_and_gets_a_gradient() -> None:
    torch.manual_seed(0)
    network = DSLNet(SMALL)
    nn.init.normal_(network.head.weight, std=0.02)
    window = torch.rand(1, 3, 3, 24, 32)
    wider = with_frame_blend(network)
    assert wider.config.frame_blend
    picture = wider(window)
    assert torch.allclose(picture, network(window), atol=1e-6)
    picture.square().mean().backward()
    assert wider.head.weight.grad is not None
    assert wider.head.weight.grad[3:].any()
    assert with_frame_blend(wider) is wider

"""A trained network learns to blend frames: its head gets the channels for it, which begin without effect."""

from __future__ import annotations

import msgspec
import torch

from vsdslnet.network.dslnet import DSLNet

__all__ = ["with_frame_blend"]


@torch.no_grad()
def with_frame_blend(network: DSLNet) -> DSLNet:
    """The same network with ``frame_blend``; it renders the same pictures until it is trained."""
    if network.config.frame_blend:
        return network
    wider = DSLNet(msgspec.structs.replace(network.config, frame_blend=True))
    given = network.state_dict()
    for name, values in wider.state_dict().items():
        if values.shape == given[name].shape:
            values.copy_(given[name])
        else:  # the head's, whose last channels blend
            values.zero_()[: len(given[name])] = given[name]
    return wider

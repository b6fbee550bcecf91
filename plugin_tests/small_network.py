"""A small DSLNet whose corrections are not zero, for tests that need a network but no picture."""

from __future__ import annotations

from pathlib import Path

__all__ = ["save_small_network"]


def save_small_network(path: Path, *, tiny: bool = False) -> Path:
    """Write one with 5 frames, always with the same weights; a tiny one is for thousands of frames."""
    import torch

    from vsdslnet.network.config import DSLNetConfig
    from vsdslnet.network.dslnet import DSLNet
    from vsdslnet.weights import save

    torch.manual_seed(7)
    small = DSLNetConfig(features=8, kernel=5, chain=1, dynamic_kernel=3)
    config = DSLNetConfig(features=4, kernel=3, chain=1, dynamic_kernel=3, condition_pixels=256) if tiny else small
    network = DSLNet(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.002)
    save(network.eval(), path)
    return path

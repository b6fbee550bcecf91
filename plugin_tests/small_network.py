"""A small DSLNet whose corrections are not zero, for tests that need a network but no picture."""

from __future__ import annotations

from pathlib import Path

__all__ = ["save_small_network"]


def save_small_network(path: Path, *, features: int = 8, kernel: int = 5) -> Path:
    """Write one with 5 frames, always with the same weights."""
    import torch

    from vsdslnet.network.config import DSLNetConfig
    from vsdslnet.network.dslnet import DSLNet
    from vsdslnet.weights import save

    torch.manual_seed(7)
    network = DSLNet(DSLNetConfig(features=features, kernel=kernel, dynamic_kernel=3))
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.002)
    save(network.eval(), path)
    return path

"""A small DSLNet whose corrections are not zero, for tests that need a network but no picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["save_small_network"]

_SMALL: dict[str, Any] = {"features": 8, "kernel": 5, "chain": 1, "dynamic_kernel": 3}
_TINY: dict[str, Any] = {"features": 4, "kernel": 3, "chain": 1, "dynamic_kernel": 3, "condition_pixels": 256}


def save_small_network(path: Path, *, tiny: bool = False, cheapest: bool = False) -> Path:
    """Write one with 5 frames, always with the same weights; a tiny one is for thousands of frames.

    The cheapest is tiny, sees blocks of 4x4 pixels and compensates no motion: where any network will do.
    """
    import torch

    from vsdslnet.network.config import DSLNetConfig
    from vsdslnet.network.dslnet import DSLNet
    from vsdslnet.weights import save

    torch.manual_seed(7)
    if cheapest:
        config = DSLNetConfig(**_TINY, scale=4, motion_compensated=False)
    else:
        config = DSLNetConfig(**(_TINY if tiny else _SMALL))
    network = DSLNet(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.002)
    save(network.eval(), path)
    return path

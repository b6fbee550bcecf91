"""The plain PyTorch engine."""

from __future__ import annotations

import torch
from torch import Tensor

from vsdslnet.network.dslnet import DSLNet

__all__ = ["TorchEngine"]


class TorchEngine:
    """Runs DSLNet as it is: fp32, channels-last."""

    def __init__(self, network: DSLNet) -> None:
        self._network = network.to(memory_format=torch.channels_last)
        self.radius_frames = network.config.radius
        self.description = "torch cpu fp32"

    @torch.inference_mode()
    def __call__(self, window: Tensor) -> Tensor:
        """See :class:`~vsdslnet.inference.engine.Engine`."""
        pq: Tensor = self._network(window[None])[0]
        return pq

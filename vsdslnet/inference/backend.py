"""What a backend is: it renders DSLNet; everything before and behind it is the same for all of them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from vsdslnet.network.config import Base

__all__ = ["Backend", "is_out_of_memory"]


class Backend(Protocol):
    """One network, ready to run; safe to call from several threads at once."""

    radius_frames: int
    base: Base
    """The formula that the network corrects."""
    description: str

    def __call__(self, window: Tensor) -> Tensor:
        """SDR R'G'B' 0..1 (2T+1, 3, H, W), fp32, CPU -> PQ BT.2020 (3, H, W), fp32, CPU, not clamped.

        The result depends on nothing but the window, whose neighbours the backend may move onto its centre in place
        (:mod:`vsdslnet.network.motion.compensation`). BackendError if it can't run.
        """
        ...

    def window_memory(self, shape: tuple[int, ...]) -> Tensor:
        """Memory (2T+1, 3, H, W) for windows that the backend reads fastest, fp32, CPU; any other will do as well."""
        ...


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: PyTorch has a type for it on CUDA only, and words everywhere else."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return any(words in text for words in ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc"))

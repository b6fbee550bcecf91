"""Finds operations that make a host wait for a device, on a machine that has none."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["NoQuestions"]

ASKING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "equal.default", "is_nonzero")
"""ATen operators whose answer, or the size of it, the host has to know before it can go on."""


class NoQuestions(TorchDispatchMode):
    """A context in which such an operator is an AssertionError that names it.

    A CUDA graph can hold none of them, and a stream of work that is not in a graph stops at each.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Turn down what asks; run the rest."""
        name = str(func)
        assert not any(asking in name for asking in ASKING), f"{name} makes the host wait for the device"
        # x[mask] and x[mask] = y have as many values as the mask has marks.
        if "index" in name:
            flags = [each for each in torch.utils._pytree.tree_leaves(args) if isinstance(each, torch.Tensor)]
            masks = [each for each in flags[1:] if each.dtype in (torch.bool, torch.uint8)]
            assert not masks, f"{name} by a mask makes the host wait for the device"
        return func(*args, **(kwargs or {}))

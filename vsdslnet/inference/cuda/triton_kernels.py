"""Triton where there is one: PyTorch brings it on Linux; elsewhere every form has a fall-back."""

from __future__ import annotations

from functools import cache
from types import ModuleType

__all__ = ["available", "load", "load_motion", "power_of_two"]


@cache
def available() -> bool:
    """Whether Triton can be imported."""
    try:
        load()
    except ImportError:
        return False
    return True


def load() -> ModuleType:
    """The kernels; ImportError without Triton."""
    from vsdslnet.inference.cuda import kernels

    return kernels


def load_motion() -> ModuleType:
    """The kernels of motion compensation; ImportError without Triton."""
    from vsdslnet.inference.cuda import motion_kernels

    return motion_kernels


def power_of_two(count: int, least: int = 16) -> int:
    """The smallest power of two that holds ``count``, as block sizes of Triton have to be."""
    return max(least, 1 << (count - 1).bit_length())

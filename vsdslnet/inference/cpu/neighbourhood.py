"""The neighbourhood's lines at the pixels of a strip: the same numbers however a frame is cut."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["RowLines"]


class RowLines:
    """Coarse planes (1, 2, h, w) read bilinearly, as ``interpolate(align_corners=False)``, at a frame's pixels."""

    def __init__(self, lines: Tensor, *, height: int, width: int, columns: slice) -> None:
        """Of a frame of ``height`` x ``width`` pixels its ``columns``; what lies beyond its border is the border's."""
        left, right, share = _neighbours(lines.shape[-1], width, columns, lines.device)
        self._across = torch.lerp(lines[..., left], lines[..., right], share)
        self._height = height

    def __call__(self, rows: slice) -> Tensor:
        """(1, 2, rows, columns)."""
        above, below, share = _neighbours(self._across.shape[-2], self._height, rows, self._across.device)
        return torch.lerp(self._across[..., above, :], self._across[..., below, :], share[:, None])


def _neighbours(inputs: int, outputs: int, part: slice, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The two of ``inputs`` that a part of ``outputs`` positions along a side lies between; the second's share."""
    place = torch.arange(part.start, part.stop, dtype=torch.float32, device=device).add_(0.5)
    place = place.mul_(inputs / outputs).sub_(0.5).clamp_(0, inputs - 1)
    first = place.floor().long()
    return first, (first + 1).clamp(max=inputs - 1), place - first

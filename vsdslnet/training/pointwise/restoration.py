"""Restoration: what noise and compression took away, learnt apart from the tone.

How bright a picture's master was can't be told from a few pixels, and that error is ten times the noise's. So the
target of this term is made by the network itself, as it was before the steps: what it makes of the clean SDR frame,
each point by itself. Between that and the output stands nothing but what the frames can tell.
"""

from __future__ import annotations

import copy
from typing import Protocol

import torch
from torch import Tensor

from vsdslnet.network.dslnet import DSLNet, upsample_crop
from vsdslnet.training.pointwise.flat_field import render_points

__all__ = ["CleanBase", "PointwiseTeacher", "Teacher"]


class Teacher(Protocol):
    """What says how a clean frame should come out."""

    def __call__(self, clean: Tensor, whole: Tensor, boxes: list[tuple[float, float, float, float]]) -> Tensor:
        """Clean frames (B, 3, P, P), at ``boxes`` of the windows ``whole`` (B, F, 3, h, w): PQ like them, fp32."""
        ...


class PointwiseTeacher:
    """A frozen copy of a network, applied to clean frames as if each point lay in a flat field of its colour."""

    def __init__(self, network: DSLNet) -> None:
        self._network = copy.deepcopy(network).requires_grad_(False).eval()

    @torch.no_grad()
    def __call__(self, clean: Tensor, whole: Tensor, boxes: list[tuple[float, float, float, float]]) -> Tensor:
        """Clean frames (B, 3, P, P) under the conditions of the windows ``whole`` (B, F, 3, h, w): PQ like them, fp32.

        ``boxes``: where the frames lie in the windows' frames, see :class:`~vsdslnet.training.dataset.batches.Batch`.
        """
        size = (clean.shape[-2], clean.shape[-1])
        with torch.autocast(clean.device.type, enabled=False):
            vectors = self._network.shared_conditions(whole).vectors
            spatial = upsample_crop(vectors.spatial, size, boxes).flatten(2).transpose(1, 2)
            points = clean.flatten(2).transpose(1, 2)
            lines = lines_at(self._network, whole, size, boxes)
            flat = None if lines is None else lines.flatten(2)[..., None]
            return render_points(self._network, points, vectors, spatial, flat).view(clean.shape)


class CleanBase:
    """A network's base of the clean frame, its gain following the same neighbourhood."""

    def __init__(self, network: DSLNet) -> None:
        self._network = network

    @torch.no_grad()
    def __call__(self, clean: Tensor, whole: Tensor, boxes: list[tuple[float, float, float, float]]) -> Tensor:
        """See :class:`Teacher`."""
        with torch.autocast(clean.device.type, enabled=False):
            lines = lines_at(self._network, whole, (clean.shape[-2], clean.shape[-1]), boxes)
            return self._network.compose(clean, torch.zeros_like(clean), lines)


def lines_at(
    network: DSLNet, whole: Tensor, size: tuple[int, int], boxes: list[tuple[float, float, float, float]]
) -> Tensor | None:
    """The neighbourhood's lines (B, 2, *size) in crops that lie at ``boxes`` of windows (B, F, 3, h, w)."""
    lines = network.neighbourhood(whole)
    return None if lines is None else upsample_crop(lines, size, boxes)

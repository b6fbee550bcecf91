"""A 3D LUT that stands for a network's picture: fitted to its pixels, smooth where a picture says nothing.

A lattice is a tensor (3, S, S, S): PQ BT.2020 R', G', B' at evenly spaced SDR colours, red along the last
axis. Between its nodes it is to be read tetrahedrally, which follows the grey diagonal in a straight line.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.bases import BASES, base_pq
from vsdslnet.color.transfer import pq_scalar
from vsdslnet.inference.look import apply_look
from vsdslnet.options import LookOptions

__all__ = ["LATTICE_SIDE", "fit_lattice", "look_lattice", "sdr_nodes"]

LATTICE_SIDE = 33
"""Nodes along each axis, the size that grading software knows; 65 was nearer by 0.1 dE_ITP at most."""

_SIDES = (3, 5, 9, 17, LATTICE_SIDE)
_SWEEPS = 3
_PRIOR_PIXELS = 16.0
"""How many pixels have to ask for a change at a node before it gets half of it."""

_LEAST_RISE = 1.6e-3
"""PQ from one grey node to the next: 3 codes of 16 bits a step of a 10-bit SDR ramp, which survive two roundings."""


def sdr_nodes(side: int = LATTICE_SIDE) -> Tensor:
    """The SDR R'G'B' 0..1 of every node: (3, S, S, S)."""
    axis = torch.linspace(0, 1, side)
    blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.stack([red, green, blue])


def fit_lattice(sdr: Tensor, pq: Tensor, base: str = "measured") -> Tensor:
    """The lattice that takes SDR pixels (3, H, W), 0..1, nearest to their PQ (3, H, W).

    It is the network's ``base`` (the measured one where it has none) plus a correction fitted from coarse to
    fine (multilevel approximation, Lee et al. 1997): colours near the picture's share its correction, far ones get
    the coarse levels' alone.
    """
    colours, wanted = sdr.reshape(3, -1), pq.reshape(3, -1).t()
    prior = _as_lattice(base_pq(_as_picture(sdr_nodes()), base if base in BASES else "measured"))
    wanted = wanted - _read(prior, *_corners(colours, LATTICE_SIDE))
    correction = torch.zeros(3, 2, 2, 2)
    for side in _SIDES:
        correction = F.interpolate(correction[None], size=(side,) * 3, mode="trilinear", align_corners=True)[0]
        nodes, shares = _corners(colours, side)
        weight = _PRIOR_PIXELS + torch.zeros(side**3).index_add_(0, nodes.flatten(), shares.flatten())
        for _ in range(_SWEEPS):
            missing = wanted - _read(correction, nodes, shares)
            asked = torch.zeros(side**3, 3)
            for node, share in zip(nodes.unbind(1), shares.unbind(1), strict=True):
                asked.index_add_(0, node, share[:, None] * missing)
            correction = correction + (asked / weight[:, None]).t().view_as(correction)
    return prior + correction


def look_lattice(network: Tensor, look: LookOptions) -> Tensor:
    """A network's lattice with the look: within [0, PQ(peak)], black at 0, greys strictly rising."""
    sdr = _as_picture(sdr_nodes(network.shape[-1]))
    lattice = _as_lattice(apply_look(_as_picture(network), sdr, look))
    top = pq_scalar(look.peak_nits)
    lattice = (lattice + _grey_shift(lattice, top)).clamp(0, top)
    lattice[:, 0, 0, 0] = 0
    return lattice


def _grey_shift(lattice: Tensor, top: float) -> Tensor:
    """What has to be added so that greys rise by at least ``_LEAST_RISE`` a node from 0 and end below ``top``.

    All colours move with the grey of their mean, so that no crease appears along the diagonal.
    """
    side = lattice.shape[-1]
    level = torch.arange(side)
    grey = lattice[:, level, level, level]
    risen = grey.clone()
    risen[:, 0] = 0
    for k in range(1, side):
        risen[:, k] = torch.maximum(grey[:, k], risen[:, k - 1] + _LEAST_RISE)
        risen[:, k].clamp_(max=top - (side - 1 - k) * _LEAST_RISE)
    mean = sdr_nodes(side).mean(dim=0) * (side - 1)
    below = mean.floor().long().clamp(max=side - 2)
    shift = risen - grey
    return torch.lerp(shift[:, below], shift[:, below + 1], mean - below)


def _corners(colours: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The 8 nodes around each colour (3, P) and its shares of them: (P, 8), (P, 8).

    Fitted to trilinear shares: tetrahedral ones use four nodes a pixel and leave the rest unasked.
    """
    position = colours.clamp(0, 1) * (side - 1)
    first = position.floor().clamp(max=side - 2)
    part, whole = position - first, first.long()
    nodes, shares = [], []
    for corner in range(8):
        step = [(corner >> axis) & 1 for axis in range(3)]
        red, green, blue = (whole[axis] + step[axis] for axis in range(3))
        nodes.append(red + side * (green + side * blue))
        near = [part[axis] if step[axis] else 1 - part[axis] for axis in range(3)]
        shares.append(near[0] * near[1] * near[2])
    return torch.stack(nodes, dim=1), torch.stack(shares, dim=1)


def _read(lattice: Tensor, nodes: Tensor, shares: Tensor) -> Tensor:
    """Trilinear values (P, 3) at the colours that ``nodes`` and ``shares`` were made of."""
    values = lattice.reshape(3, -1).t().contiguous()
    return F.embedding_bag(nodes, values, per_sample_weights=shares, mode="sum")


def _as_picture(lattice: Tensor) -> Tensor:
    return lattice.reshape(3, -1, lattice.shape[-1])


def _as_lattice(picture: Tensor) -> Tensor:
    side = picture.shape[-1]
    return picture.reshape(3, side, side, side)

"""Frames blended block by block: what a network that sees blocks of pixels can do for every pixel.

A few features a block can't carry the noise of each of its pixels, which is what a correction would have to take away.
What they can say is how far the other frames, brought onto the centre one, and what is smooth of it are to be believed
there: kernel prediction (Mildenhall et al. 2018) with one weight a frame, read bilinearly at every pixel. How large a
difference may be and still count as noise they say as well, of a pixel's and, on blocks, of a whole block's: over a
block noise has an even size, and what is beyond it is a frame that lies elsewhere (as non-local means compare patches,
Buades et al. 2005).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vsdslnet.color.primaries import luminance_of
from vsdslnet.network.config import DSLNetConfig
from vsdslnet.network.window import black_gate

__all__ = [
    "STILL_FEATURE",
    "blend_channels",
    "blended",
    "block_evidence",
    "evidence_feature_channels",
    "evidence_features",
    "pixel_evidence_channels",
]

_TOLERANCE = 0.1
"""Difference of signals (0..1) of which half is believed, until a network says otherwise."""
_BLOCK_TOLERANCE = 0.02
"""Root mean square of a block's differences at which a frame counts half, until a network says otherwise."""
_WIDEST = 4.0
"""Bound on the tolerances' logarithms."""
_QUANTUM = 0.5 / 255
"""Half an 8-bit code: of a smaller deviation no picture has anything to say."""
_MIDDLE = 4.0
"""Of minus the logarithm of deviations in pictures: features of them lie around 0."""
STILL_FEATURE = math.log(_QUANTUM) + _MIDDLE
"""Every feature of :func:`evidence_features` in a block that is even and does not move."""


def blend_channels(config: DSLNetConfig) -> int:
    """What the head says of each block for blending: a weight of each frame, and the tolerances; 0 without."""
    if not config.frame_blend:
        return 0
    return config.frames + (1 if config.scale == 1 else 2)


def block_evidence(frames: Tensor, scale: int) -> Tensor:
    """What blocks of frames (N, 2T+1, 3, H, W) show, fp32: (N, 4 + 2T, h, w); whole blocks only.

    The centre frame's mean; of every other frame, in their order, the mean square of what it differs from the centre in
    its weighted sum of colours; and the mean square of what the centre's pixels differ from their mean. A block of one
    pixel has no more to show than itself: then it is (N, 3, h, w).
    """
    radius = frames.shape[1] // 2
    means = F.avg_pool2d(frames[:, radius].float(), scale)
    if scale == 1:
        return means
    grey = luminance_of(frames.float())[:, :, 0]
    apart = F.avg_pool2d((grey - grey[:, radius : radius + 1]).square(), scale)
    varied = F.pixel_unshuffle(grey[:, radius : radius + 1], scale).var(dim=1, correction=0, keepdim=True)
    return torch.cat([means, apart[:, :radius], apart[:, radius + 1 :], varied], dim=1)


def pixel_evidence_channels(config: DSLNetConfig) -> int:
    """How many of the first channels of :func:`block_evidence` are read at every pixel, for :func:`blended`."""
    return 3 if config.scale == 1 else 2 + config.frames


def evidence_feature_channels(config: DSLNetConfig) -> int:
    """Channels of :func:`evidence_features`; 0 where a network does without: on pixels, or without blending."""
    return config.frames if config.frame_blend and config.scale > 1 else 0


def evidence_features(evidence: Tensor) -> Tensor:
    """What the network gets told of :func:`block_evidence` (N, 4 + 2T, h, w): (N, 2T + 1, h, w), around 0.

    Logarithms of its root mean squares. A few features that weigh all pixels of a block can't tell a frame that lies
    elsewhere from noise: how large differences are is no weighted sum of them.
    """
    return 0.5 * (evidence[:, 3:] + _QUANTUM**2).log() + _MIDDLE


def blended(said: Tensor, evidence: Tensor, frames: Tensor, *, anchor: float) -> Tensor:
    """The centre frame with a share of the others and of what is smooth of it: (N, 3, H, W), 0..1.

    ``said`` (N, 2T+2 or 2T+3, H, W): weights, the centre's for what is smooth of it, and behind them the logarithms of
    the tolerances, in units of ``_TOLERANCE`` and ``_BLOCK_TOLERANCE``; ``evidence`` (N, 3 [+ 2T], H, W) what
    :func:`block_evidence` begins with; ``frames`` (N, 2T+1, 3, H, W). Of a difference d to another frame counts
    d / (1 + (d / tolerance)^2), as the Cauchy (Lorentzian) estimator lets it count, and with a block's mean square e
    of it 1 / (1 + (e / tolerance^2)^2) of that. Below ``anchor`` all of it fades, see
    :func:`~vsdslnet.network.window.black_gate`: black stays black.
    """
    count, radius = frames.shape[1], frames.shape[1] // 2
    centre = frames[:, radius].float()
    moved = said[:, radius, None] * (evidence[:, :3] - centre)
    sharpness = said[:, count, None].clamp(-_WIDEST, _WIDEST).mul(-2).exp() / _TOLERANCE**2
    others = [number for number in range(count) if number != radius]
    weights = torch.cat([said[:, :radius], said[:, radius + 1 : count]], dim=1)
    if evidence.shape[1] > 3:
        strictness = said[:, count + 1, None].clamp(-_WIDEST, _WIDEST).mul(-2).exp() / _BLOCK_TOLERANCE**2
        weights = weights / (1 + (strictness * evidence[:, 3:]).square())
    for number, weight in zip(others, weights.unbind(1), strict=True):
        apart = frames[:, number].float() - centre
        moved = moved + weight[:, None] * (apart / (1 + sharpness * apart.square()))
    return (centre + black_gate(centre, anchor) * moved).clamp(0, 1)

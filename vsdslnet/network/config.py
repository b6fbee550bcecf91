"""What one DSLNet is built from: the strict, serialisable description that travels with its weights."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Base", "DSLNetConfig", "LkrbOrder", "Norm"]

Norm = Literal["none", "batch", "instance"]
LkrbOrder = Literal["skip", "text"]
Base = Literal["bt2446a", "plain", "none"]


class DSLNetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Constructor arguments of :class:`~vsdslnet.network.dslnet.DSLNet`; defaults: the shipped reading.

    ``radius``            T of Eq. 1: 2T+1 frames go in.
    ``features``          width of every feature map.
    ``kernel``            side of the large depthwise kernels (17 in the paper).
    ``dynamic_kernel``    side of LDOE's dynamic depthwise kernel (7 in the paper); 0 leaves it out (M6).
    ``norm``              the Norm of Eq. 2. "none": with "instance" the pooled vectors are the same for
                          every picture, and "batch" was 0.75 dB worse on real pairs.
    ``lkrb``              "skip": Eq. 8's order with an identity skip; "text": the order in the paper's
                          prose (3x3, ReLU, DW, ReLU), added to the identity: every residual is >= 0.
    ``offset_conv``       3x3 conv behind LDOE's last ReLU; without it (the paper's letter) the features
                          after the ReLU are the offsets, so none can be negative.
    ``condition_pixels``  area the frames are averaged down to before ConditionNet, so that its vectors
                          do not depend on the frame's size; 0 feeds full-size frames (the letter).
    ``base``              the formula whose result the network corrects; "none" predicts PQ outright.
    ``black_anchor``      SDR code value (0..1) below which the correction fades to 0, so black stays black.
    """

    radius: int = 2
    features: int = 64
    kernel: int = 17
    dynamic_kernel: int = 7
    norm: Norm = "none"
    lkrb: LkrbOrder = "skip"
    offset_conv: bool = True
    condition_pixels: int = 128 * 72
    base: Base = "bt2446a"
    black_anchor: float = 3 / 255

    @property
    def frames(self) -> int:
        """Frames in a window, 2T+1."""
        return 2 * self.radius + 1

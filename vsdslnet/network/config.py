"""What one DSLNet is built from: the strict, serialisable description that travels with its weights."""

from __future__ import annotations

from typing import Literal

import msgspec

from vsdslnet.errors import ArgumentError

__all__ = ["Base", "DSLNetConfig", "LkrbOrder", "Norm"]

Norm = Literal["none", "batch", "instance"]
LkrbOrder = Literal["skip", "text"]
Base = Literal["measured", "bt2446a", "plain", "none"]


class DSLNetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Constructor arguments of :class:`~vsdslnet.network.dslnet.DSLNet`; defaults: the shipped reading.

    ``radius``            T of Eq. 1: 2T+1 frames go in.
    ``scale``             side in px of the blocks that the network sees as one position each: it reads frames
                          unshuffled into blocks and its correction is shuffled back into pixels. 1 is the paper.
    ``features``          width of every feature map.
    ``kernel``            side of the large depthwise kernels (17 in the paper), in blocks as every kernel.
    ``chain``             LKRBs in a chain, of which there are two (4 in the paper).
    ``deform_kernel``     side of the deformable kernel (3 in the paper); a tap samples a block, its pixels together.
    ``dynamic_kernel``    side of LDOE's dynamic depthwise kernel (7 in the paper); 0 leaves it out (M6).
    ``norm``              the Norm of Eq. 2. "none": with "instance" the pooled vectors are the same for
                          every picture, and "batch" was 0.75 dB worse on real pairs.
    ``lkrb``              "skip": Eq. 8's order with an identity skip; "text": the order in the paper's
                          prose (3x3, ReLU, DW, ReLU), added to the identity: every residual is >= 0.
    ``offset_conv``       3x3 conv behind LDOE's last ReLU; without it (the paper's letter) the features
                          after the ReLU are the offsets, so none can be negative.
    ``condition_pixels``  area the frames are averaged down to before ConditionNet, so that its vectors
                          do not depend on the frame's size; 0 feeds full-size frames (the letter).
    ``base``              what the network corrects (:mod:`vsdslnet.color.bases`); "none" predicts PQ outright.
    ``gain_radius``       positions of the frames averaged down over which the base's gain follows the neighbourhood
                          (:mod:`vsdslnet.color.neighbourhood`); 0: every pixel has its own. For base "measured".
    ``black_anchor``      SDR code value (0..1) below which the correction fades to 0, so black stays black.
    ``color_map``         the head also gives each block an affine map of colours, read bilinearly at every pixel
                          (Gharbi et al. 2017, without their guide): colour at full detail, whatever the ``scale``.
    ``frame_blend``       the head also gives each block how far the other frames and what is smooth of the centre one
                          are blended into it before anything else (:mod:`vsdslnet.network.frame_blend`).
    ``motion_compensated`` neighbours are brought onto the centre frame before they go in
                          (:mod:`vsdslnet.network.motion.compensation`); without it DMFA is all there is (the letter).

    ArgumentError on a value that no network can be built with, or one so large that a weights file
    which asks for it means harm.
    """

    radius: int = 2
    scale: int = 1
    features: int = 64
    kernel: int = 17
    chain: int = 4
    deform_kernel: int = 3
    dynamic_kernel: int = 7
    norm: Norm = "none"
    lkrb: LkrbOrder = "skip"
    offset_conv: bool = True
    condition_pixels: int = 128 * 72
    base: Base = "measured"
    gain_radius: int = 0
    black_anchor: float = 3 / 255
    color_map: bool = False
    frame_blend: bool = False
    motion_compensated: bool = True

    def __post_init__(self) -> None:
        _within("radius", self.radius, 0, 16)
        _within("scale", self.scale, 1, 8)
        _within("features", self.features, 4, 256)
        _within("kernel", self.kernel, 1, 31)
        _within("chain", self.chain, 1, 16)
        _within("deform_kernel", self.deform_kernel, 1, 5)
        _within("dynamic_kernel", self.dynamic_kernel, 0, 15)
        _within("condition_pixels", self.condition_pixels, 0, 1 << 24)
        _within("gain_radius", self.gain_radius, 0, 8)
        _within("black_anchor", self.black_anchor, 0, 1)
        for side in ("kernel", "deform_kernel"):
            if getattr(self, side) % 2 == 0:
                raise ArgumentError(side, getattr(self, side), "an odd number", "an even one can't keep the size")
        if self.dynamic_kernel and self.dynamic_kernel % 2 == 0:
            raise ArgumentError("dynamic_kernel", self.dynamic_kernel, "an odd number, or 0 for none")
        if self.gain_radius and (self.base != "measured" or not self.condition_pixels):
            got, cure = (self.gain_radius, self.base, self.condition_pixels), 'base "measured" and frames averaged down'
            raise ArgumentError("gain_radius, base, condition_pixels", got, f"gain_radius 0, or {cure}")
        if 0 < self.condition_pixels < 256:
            raise ArgumentError("condition_pixels", self.condition_pixels, "256 and more, or 0 for full size")

    @property
    def frames(self) -> int:
        """Frames in a window, 2T+1."""
        return 2 * self.radius + 1


def _within(argument: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ArgumentError(argument, value, f"{low} to {high}")

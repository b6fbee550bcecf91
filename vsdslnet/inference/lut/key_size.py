"""How large the version of a frame is from which a LUT is learnt; no torch."""

from __future__ import annotations

__all__ = ["small_size"]

_PIXELS = 320 * 180
_PIXELS_OF_BLOCKS = 480 * 270
"""Of a network that sees blocks of pixels, which is quick: still larger ones bring little (640x360 0.05 dE_ITP)."""
_LEAST_SIDE = 16


def small_size(width: int, height: int, *, scale: int) -> tuple[int, int]:
    """Width and height of the small version of such frames for a network of this scale, never larger than they are."""
    pixels = _PIXELS if scale == 1 else _PIXELS_OF_BLOCKS
    factor = min(1.0, (pixels / (width * height)) ** 0.5)
    small_width, small_height = (max(min(side, _LEAST_SIDE), round(side * factor)) for side in (width, height))
    return small_width, small_height

"""How large the version of a frame is from which a LUT is learnt; no torch."""

from __future__ import annotations

__all__ = ["small_size"]

_SMALL_PIXELS = 320 * 180
_LEAST_SIDE = 16


def small_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the small version of such frames: about 320x180 pixels, never larger than they are."""
    scale = min(1.0, (_SMALL_PIXELS / (width * height)) ** 0.5)
    small_width, small_height = (max(min(side, _LEAST_SIDE), round(side * scale)) for side in (width, height))
    return small_width, small_height

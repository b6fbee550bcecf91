"""How a frame is cut for the memory there is: numbers alone, no torch.

A pixel is one position of the network here: of one with a ``scale``, a block of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["Tiling", "cpu_rows", "estimate_bytes", "tiling_for"]

_CPU_STRIP_PX = 1920 * 16
"""Pixels a strip should have on a CPU: more leave the caches (in fp32 32 rows of 1920 took 6 % longer than 16)."""
_CPU_ROWS = 16, 128
_CPU_STRIPS = 16
"""Strips a frame should have, so that every thread finds one to work on, ..."""
_CPU_LEAST_STRIP_PX = 4096
"""... unless each of them would take no longer than handing it out."""
_LEAST_ROWS = 8
"""Strips are a multiple of it: at half the resolution they are whole blocks of 4x4 pixels."""
_LEAST_COLUMNS = 64
_LIVE_STRIPS = 76
"""Strips of one layer's activations alive at once in the whole stream, measured, with their halos."""


@dataclass(frozen=True)
class Tiling:
    """Work on a frame in bands of ``columns``, each from top to bottom in strips of ``rows`` (a multiple of 8)."""

    width: int
    columns: int
    rows: int

    @property
    def bands(self) -> list[tuple[int, int]]:
        """The (left, right) of every band."""
        return [(left, min(left + self.columns, self.width)) for left in range(0, self.width, self.columns)]

    def smaller(self) -> Tiling | None:
        """About half the memory, or None where there is nothing left to halve."""
        if self.rows > _LEAST_ROWS:
            return replace(self, rows=_whole_strips(self.rows // 2))
        columns = _even(min(self.columns, self.width) // 2)
        return replace(self, columns=columns) if columns >= _LEAST_COLUMNS else None


def cpu_rows(width: int, height: int) -> int:
    """The strip height that runs fastest on a CPU for frames of this size."""
    least, most = _CPU_ROWS
    many = max(height // _CPU_STRIPS, _CPU_LEAST_STRIP_PX // width)
    rows = min(most, max(least, _CPU_STRIP_PX // width), many)
    return max(_LEAST_ROWS, rows // _LEAST_ROWS * _LEAST_ROWS)


def tiling_for(
    *,
    width: int,
    height: int,
    rows: int,
    budget_bytes: int,
    bytes_per_pixel: int,
    tile: tuple[int, int] | None = None,
) -> Tiling:
    """A frame in strips of at most ``rows``, so that its activations fit ``budget_bytes``.

    ``bytes_per_pixel`` is one layer's activation (features times bytes a value). ``tile`` (width, height) is
    taken as it is, its width made even and its height a multiple of 8; without one the strips shrink first,
    for bands cost a halo each.
    """
    if tile is not None:
        return Tiling(width, _even(tile[0]), _whole_strips(tile[1]))
    tiling = Tiling(width, _even(width), min(_whole_strips(rows), _whole_strips(height)))
    while estimate_bytes(tiling, bytes_per_pixel) > budget_bytes:
        smaller = tiling.smaller()
        if smaller is None:
            break
        tiling = smaller
    return tiling


def estimate_bytes(tiling: Tiling, bytes_per_pixel: int) -> int:
    """Roughly what the activations of a tiling take at once."""
    return _LIVE_STRIPS * (tiling.rows + _LEAST_ROWS) * min(tiling.columns, tiling.width) * bytes_per_pixel


def _even(side: int) -> int:
    return max(2, side + side % 2)


def _whole_strips(rows: int) -> int:
    return max(_LEAST_ROWS, -(-rows // _LEAST_ROWS) * _LEAST_ROWS)

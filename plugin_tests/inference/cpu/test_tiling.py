"""Frame plans: cover the frame, fit the memory, shrink in steps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vsdslnet.inference.cpu.tiling import Tiling, cpu_rows, estimate_bytes, tiling_for

GIB = 1 << 30
ENGINE_BYTES = 2 * GIB


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1 << 20, 8 * GIB))
def test_bands_cover_every_column_once_from_even_origins(width: int, height: int, budget_bytes: int) -> None:
    tiling = tiling_for(
        width=width, height=height, rows=cpu_rows(width, height), budget_bytes=budget_bytes, bytes_per_pixel=128
    )
    columns = [column for left, right in tiling.bands for column in range(left, right)]
    assert columns == list(range(width))
    assert all(left % 2 == 0 for left, _ in tiling.bands)
    assert tiling.rows % 8 == 0


@given(st.integers(1, 9000), st.integers(1, 9000))
def test_usual_frames_need_no_second_band(width: int, height: int) -> None:
    tiling = tiling_for(
        width=width, height=height, rows=cpu_rows(width, height), budget_bytes=ENGINE_BYTES, bytes_per_pixel=128
    )
    assert len(tiling.bands) == 1
    assert estimate_bytes(tiling, 128) <= ENGINE_BYTES


def test_shrinking_ends() -> None:
    tiling: Tiling | None = Tiling(7680, 7680, 32)
    sizes = []
    while tiling is not None:
        sizes.append(estimate_bytes(tiling, 256))
        tiling = tiling.smaller()
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 100


def test_a_tile_is_taken_as_it_is() -> None:
    tiling = tiling_for(width=500, height=500, rows=32, budget_bytes=1, bytes_per_pixel=256, tile=(129, 66))
    assert (tiling.columns, tiling.rows) == (130, 72)


def test_strips_are_taller_on_narrow_frames_and_many_on_small_ones() -> None:
    assert cpu_rows(1920, 1080) == 16
    assert cpu_rows(7680, 4320) == 16
    assert cpu_rows(960, 540) == 32
    assert cpu_rows(480, 270) == 16
    assert cpu_rows(256, 144) == 16
    assert cpu_rows(64, 64) == 64
    assert cpu_rows(64, 4000) == 128
    assert cpu_rows(1, 1) == 128

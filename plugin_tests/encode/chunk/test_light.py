"""Measured light equals CTA-861.3 computed with numpy from the delivered 10-bit planes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from vsdslnet.encode.chunk.light import frame_light_nits, with_light

Array = np.ndarray[Any, Any]


def light_by_numpy(y: Array, cb: Array, cr: Array) -> tuple[float, float]:
    """MaxCLL's and MaxFALL's measure of one limited-range 4:2:0 frame with top-left chroma."""

    def bilinear(plane: Array) -> Array:
        for axis in (0, 1):
            after = np.concatenate([plane, plane.take([-1], axis)], axis).take(range(1, plane.shape[axis] + 1), axis)
            plane = np.stack([plane, (plane + after) / 2], axis + 1).reshape(
                [size * (2 if dim == axis else 1) for dim, size in enumerate(plane.shape)]
            )
        return plane

    luma = (y - 64.0) / 876
    blue, red = (bilinear((plane - 512.0) / 896) for plane in (cb, cr))
    kr, kb = 0.2627, 0.0593  # BT.2020
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    signal = np.clip(np.maximum(np.maximum(r, g), b), 0, 1)
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128  # ST 2084
    root = signal ** (1 / m2)
    nits = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return float(nits.max()), float(nits.mean())


def clip_of(y: Array, cb: Array, cr: Array) -> vs.VideoNode:
    height, width = y.shape
    blank = vs.core.std.BlankClip(format=vs.YUV420P10, width=width, height=height, length=1)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane, values in enumerate((y, cb, cr)):
            np.copyto(np.asarray(out[plane]), values.astype(np.uint16))
        out.props.update({"_Matrix": 9, "_Transfer": 16, "_Primaries": 9, "_Range": 0, "_ChromaLocation": 2})
        return out

    return blank.std.ModifyFrame(blank, fill)


def planes(kind: str) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(5)
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    if kind == "smooth":
        half = x[::2, ::2] * 2
        return 100 + x * 9 + y, 512 + half, 512 - half
    if kind == "black":
        return np.full((48, 64), 64), np.full((24, 32), 512), np.full((24, 32), 512)
    if kind == "white":
        return np.full((48, 64), 940), np.full((24, 32), 512), np.full((24, 32), 512)
    chroma = [rng.integers(462, 562, (24, 32)) for _ in range(2)]
    return rng.integers(64, 723, (48, 64)), chroma[0], chroma[1]


@pytest.mark.parametrize("kind", ["smooth", "noise", "black", "white"])
def test_light_is_within_a_nit_of_numpy(kind: str) -> None:
    y, cb, cr = planes(kind)
    with with_light(clip_of(y, cb, cr)).get_frame(0) as frame:
        measured = frame_light_nits(frame)
    wanted = light_by_numpy(y, cb, cr)
    assert measured[0] == pytest.approx(wanted[0], abs=1)
    assert measured[1] == pytest.approx(wanted[1], abs=0.5)


def test_white_is_ten_thousand_nits_and_black_is_none() -> None:
    for kind, nits in (("white", 10_000), ("black", 0)):
        with with_light(clip_of(*planes(kind))).get_frame(0) as frame:
            assert frame_light_nits(frame) == (nits, nits)

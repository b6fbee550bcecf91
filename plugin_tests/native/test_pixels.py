"""The shim's passes over pixels, against the same in numpy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import vapoursynth as vs
from numpy.typing import NDArray

from plugin_tests.plugin.clips import planes, same
from vsdslnet.color.sdr_to_hdr import plain_pq
from vsdslnet.color.transfer import pq_to_nits
from vsdslnet.plugin.plain import plain_hdr

Planes = NDArray[np.float32]


def clip_of(core: Any, pixels: Planes, video_format: int) -> Any:
    """A clip of one frame of (3, H, W), 0..1."""
    _, height, width = pixels.shape
    blank = core.std.BlankClip(format=video_format, width=width, height=height, length=1)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane in range(3):
            values = pixels[plane] if video_format == vs.RGBS else np.round(pixels[plane] * 65535).astype(np.uint16)
            np.copyto(np.asarray(out[plane]), values)
        out.props.update({"_Matrix": 0, "_Transfer": 1, "_Primaries": 1, "_Range": 1})
        return out

    return core.std.ModifyFrame(blank, blank, fill)


def signal(clip: Any, n: int = 0) -> Planes:
    values = np.stack(planes(clip.get_frame(n)))
    return values / np.float32(65535) if values.dtype == np.uint16 else values


def colours(width: int, height: int) -> Planes:
    """Random colours, greys, the corners of the cube, and dark ones."""
    random = np.random.default_rng(1)
    pixels = random.random((3, height, width), dtype=np.float32)
    pixels[:, : height // 4] **= 4
    pixels[:, -1] = pixels[:1, -1]
    flat = pixels.reshape(3, -1)
    corners = np.array(list(np.ndindex(2, 2, 2)), np.float32).T
    flat[:, : min(8, flat.shape[1])] = corners[:, : flat.shape[1]]
    return pixels


def tetrahedral(lattice: Planes, pixels: Planes) -> Planes:
    """Node by node along the axes by falling parts: the textbook way."""
    side = lattice.shape[-1]
    out = np.empty((3, pixels[0].size))
    for place, colour in enumerate(pixels.reshape(3, -1).T.astype(np.float64)):
        at = np.minimum((colour * (side - 1)).astype(int), side - 2)
        part = colour * (side - 1) - at
        order = np.argsort(-part, kind="stable")
        value = lattice[:, at[2], at[1], at[0]].astype(np.float64)
        total = value * (1 - part[order[0]])
        shares = [*(part[order[k]] - part[order[k + 1]] for k in range(2)), part[order[2]]]
        for axis, share in zip(order, shares, strict=True):
            at[axis] += 1
            total += share * lattice[:, at[2], at[1], at[0]]
        out[:, place] = total
    return out.reshape(pixels.shape).astype(np.float32)


def through_lut(core: Any, clip: Any, keys: list[tuple[int, float]], lattices: list[Planes]) -> Any:
    pixel = core.std.BlankClip(format=vs.GRAY8, width=1, height=1, length=max(len(clip), len(lattices)))
    named = pixel.std.SetFrameProps(DSLNetKeys=[k for k, _ in keys], DSLNetShares=[share for _, share in keys])

    def carry(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        out.props["DSLNetLattice"] = np.ascontiguousarray(lattices[n], np.float32).tobytes()
        return out

    return core.dslnet.Lut(clip, keys=named, lattices=core.std.ModifyFrame(pixel, pixel, carry)[: len(lattices)])


@pytest.mark.parametrize("video_format", [vs.RGB48, vs.RGBS])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (61, 9), (300, 7)])
@pytest.mark.parametrize("side", [2, 33])
def test_luts_are_read_tetrahedrally_and_mixed(
    core: Any, video_format: int, width: int, height: int, side: int
) -> None:
    random = np.random.default_rng(side)
    lattices = [random.random((3, side, side, side), dtype=np.float32) for _ in range(3)]
    pixels = colours(width, height)
    clip = clip_of(core, pixels, video_format)
    shown = signal(clip)
    for keys in ([(2, 1.0)], [(0, 0.75), (1, 0.25)]):
        hdr = through_lut(core, clip, keys, lattices)
        wanted = sum(share * tetrahedral(lattices[key], shown) for key, share in keys)
        assert np.abs(signal(hdr) - wanted).max() < (1e-5 if video_format == vs.RGB48 else 2e-6)
        nits = pq_to_nits(torch.from_numpy(np.asarray(wanted)).double()).amax(dim=0)
        props = hdr.get_frame(0).props
        assert props["DSLNetMaxNits"] == pytest.approx(float(nits.max()), rel=1e-3)
        assert props["DSLNetAverageNits"] == pytest.approx(float(nits.mean()), rel=1e-3)
    assert same(planes(clip.get_frame(0)), planes(clip_of(core, pixels, video_format).get_frame(0)))


def test_light_is_st_2084s_at_every_level(core: Any) -> None:
    axis = np.linspace(0, 1, 2, dtype=np.float32)
    unchanged = np.stack(np.meshgrid(axis, axis, axis, indexing="ij")[::-1])
    for signal_level in np.float32([*np.linspace(0, 1, 301), *np.geomspace(1e-6, 0.01, 30)]):
        grey = np.full((3, 1, 1), signal_level, np.float32)
        props = through_lut(core, clip_of(core, grey, vs.RGBS), [(0, 1.0)], [unchanged]).get_frame(0).props
        nits = float(pq_to_nits(torch.tensor(float(signal_level), dtype=torch.float64)))
        assert props["DSLNetAverageNits"] == pytest.approx(nits, rel=0, abs=3e-5 * (nits + 0.01)), signal_level
        assert props["DSLNetMaxNits"] == pytest.approx(nits, rel=1e-5, abs=1e-9)


def test_a_lut_leaves_no_trace_in_what_others_hold(core: Any) -> None:
    """The pass writes into the frame it was given if that is its own; one that a cache holds is not."""
    lattice = np.zeros((3, 2, 2, 2), np.float32)
    clip = clip_of(core, colours(40, 20), vs.RGB48)
    clip.std.SetVideoCache(mode=1, fixedsize=1, maxsize=4)
    before = clip.get_frame(0)
    assert signal(through_lut(core, clip, [(0, 1.0)], [lattice])).max() == 0
    assert same(planes(before), planes(clip.get_frame(0)))
    assert planes(before)[0].max() == 65535


@pytest.mark.parametrize(
    ("keys", "data", "told"),
    [
        ([(0, 1.0)], b"1234", "no lattice"),
        ([(0, 0.5), (1, 0.5)], None, "no lattice"),
        ([(0, 0.3), (0, 0.3), (0, 0.4)], None, "one or two"),
    ],
)
def test_a_lattice_that_is_none_is_told(
    core: Any, keys: list[tuple[int, float]], data: bytes | None, told: str
) -> None:
    sides = [np.zeros((3, side, side, side), np.float32) for side in (2, 3)]
    clip = clip_of(core, colours(8, 8), vs.RGBS)
    lattices = sides if data is None else [np.frombuffer(data, np.float32)]
    with pytest.raises(vs.Error, match=told):
        through_lut(core, clip, keys, lattices).get_frame(0)


@pytest.mark.parametrize("name", ["Lut", "Plain", "Peak"])
def test_other_formats_are_refused(core: Any, name: str) -> None:
    clip = core.std.BlankClip(format=vs.YUV444PS, width=8, height=8, length=1)
    arguments: dict[str, Any] = {
        "Lut": {"keys": clip, "lattices": clip},
        "Plain": {"gamma": 2.4, "white_nits": 203.0, "matrix": [1.0] * 9},
        "Peak": {"peak": 0.75, "kr": 0.26, "kb": 0.06},
    }[name]
    with pytest.raises(vs.Error, match=rf"dslnet\.{name}: clip must be"):
        getattr(core.dslnet, name)(clip, **arguments)


@pytest.mark.parametrize("video_format", [vs.RGB48, vs.RGBS])
def test_plain_conversion_is_the_formulas(core: Any, video_format: int) -> None:
    clip = clip_of(core, colours(333, 64), video_format)
    hdr = plain_hdr(clip)
    wanted = plain_pq(torch.from_numpy(signal(clip)).double())
    tolerance = (0.6 if video_format == vs.RGB48 else 0.1) / 65535
    assert np.abs(signal(hdr) - wanted.numpy()).max() < tolerance
    nits = pq_to_nits(wanted).amax(dim=0)
    props = hdr.get_frame(0).props
    assert props["DSLNetMaxNits"] == pytest.approx(float(nits.max()), rel=1e-3)
    assert props["DSLNetAverageNits"] == pytest.approx(float(nits.mean()), rel=1e-3)


def test_plain_conversion_of_values_that_no_picture_has(core: Any) -> None:
    wild = np.array([np.nan, -np.inf, np.inf, -0.2, 1.3, -0.0, 1e-30, 0.5], np.float32)
    pixels = np.broadcast_to(wild, (3, 1, 8)).copy()
    got = signal(plain_hdr(clip_of(core, pixels, vs.RGBS)))[0, 0]
    white, grey = (float(plain_pq(torch.full((3, 1, 1), value))[0, 0, 0]) for value in (1.0, 0.5))
    black = 0.0
    assert got == pytest.approx([black, black, white, black, white, black, black, grey], abs=2e-6)


def test_lattices_read_here_are_those_of_the_fit(core: Any) -> None:
    """The grey diagonal is a straight line between nodes, as ``inference/lut/lattice.py`` counts on."""
    axis = torch.linspace(0, 1, 33)
    blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
    lattice = (torch.stack([red, green, blue]) ** 2).numpy()
    grey = np.broadcast_to(np.linspace(0, 1, 257, dtype=np.float32), (3, 1, 257)).copy()
    got = signal(through_lut(core, clip_of(core, grey, vs.RGBS), [(0, 1.0)], [lattice]))[0, 0]
    wanted = F.interpolate((axis**2)[None, None], size=257, mode="linear", align_corners=True)[0, 0]
    assert np.abs(got - wanted.numpy()).max() < 1e-6

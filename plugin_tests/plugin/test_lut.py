"""``model="...-lut"``: the network's colours as 3D LUTs, with all that Convert promises."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
import vapoursynth as vs

from plugin_tests.plugin.clips import TAGS_709, all_planes, planes, same, textured, wild_values
from vsdslnet.color.ictcp import delta_e_itp
from vsdslnet.color.transfer import pq_to_nits
from vsdslnet.plugin import convert
from vsdslnet.plugin.lut_keys import KEY_INTERVAL_FRAMES

K = KEY_INTERVAL_FRAMES


@pytest.fixture
def lut(small_model: str) -> str:
    return f"{small_model}-lut"


def mean_de_itp(left: vs.VideoFrame, right: vs.VideoFrame) -> float:
    lights = (pq_to_nits(torch.from_numpy(np.stack(planes(frame)))) for frame in (left, right))
    return float(delta_e_itp(*lights).mean())


@pytest.mark.parametrize("name", ["YUV420P8", "YUV444P16", "GRAY8", "RGB24", "RGBS", "YUV422PS"])
def test_the_frame_is_near_the_networks_own(core: Any, small_model: str, lut: str, name: str) -> None:
    source = textured(core, getattr(vs, name), width=64, height=48, length=3)
    near = core.dslnet.Convert(source, model=lut, format=vs.RGBS).get_frame(1)
    full = core.dslnet.Convert(source, model=small_model, format=vs.RGBS).get_frame(1)
    plain = core.dslnet.Convert(source, model=small_model, format=vs.RGBS, strength=0).get_frame(1)
    # This network's random corrections depend on places as much as on colours; trained ones don't.
    assert mean_de_itp(near, full) < mean_de_itp(plain, full) / 4


def test_formats_and_properties_are_those_of_the_full_model(core: Any, small_model: str, lut: str) -> None:
    source = textured(core, vs.YUV420P8, length=2, Title="kept", ContentLightLevelMax=4000)
    for arguments in ({}, {"format": vs.YUV420P10, "peak": 600}, {"format": vs.RGB48}):
        ours = core.dslnet.Convert(source, model=lut, **arguments)
        theirs = core.dslnet.Convert(source, model=small_model, **arguments)
        assert ours.format.id == theirs.format.id
        left, right = dict(ours.get_frame(1).props), dict(theirs.get_frame(1).props)
        assert left.keys() == right.keys()
        for name in left.keys() - {"DSLNetMaxNits", "DSLNetAverageNits"}:
            assert left[name] == right[name], name
        assert left["DSLNetAverageNits"] == pytest.approx(right["DSLNetAverageNits"], rel=0.05)


@pytest.mark.parametrize("name", ["YUV420P8", "YUV422P10", "YUV444P16"])
@pytest.mark.parametrize("tags", [TAGS_709, {"_Matrix": 5, "_Transfer": 6, "_Primaries": 5, "_Range": 1}], ids=str)
def test_yuv_is_what_rgb_in_between_gives(
    core: Any, lut: str, name: str, tags: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without two matrices by resize on the way: rounding alone differs, in all that is written."""
    source = textured(core, getattr(vs, name), width=66, height=50, length=2).std.SetFrameProps(**tags)
    given, expected = [], []
    for pictures in (given, expected):
        clips = (core.dslnet.Convert(source, model=lut, format=getattr(vs, to)) for to in ("YUV444P16", "YUV420P16"))
        pictures += [clip.get_frame(1) for clip in clips]
        monkeypatch.setattr(convert, "_stays_yuv", lambda *_: False)
    for one, other in zip(given, expected, strict=True):
        for left, right in zip(planes(one), planes(other), strict=True):
            assert abs(left.astype(int) - right).max() <= 6, "a tenth of a code of 10 bits"
        left_props, right_props = dict(one.props), dict(other.props)
        assert left_props.keys() == right_props.keys()
        for key in left_props:
            assert left_props[key] == pytest.approx(right_props[key], rel=1e-3), key


def test_light_is_that_of_the_frame(core: Any, lut: str) -> None:
    frame = core.dslnet.Convert(textured(core, vs.RGB24, length=1), model=lut, format=vs.RGBS).get_frame(0)
    nits = pq_to_nits(torch.from_numpy(np.max(planes(frame), axis=0)))
    assert frame.props["DSLNetMaxNits"] == pytest.approx(float(nits.max()), rel=1e-3)
    assert frame.props["DSLNetAverageNits"] == pytest.approx(float(nits.mean()), rel=1e-3)


def test_the_order_of_requests_changes_nothing(core: Any, lut: str) -> None:
    source = textured(core, vs.YUV420P8, length=2 * K + 5)
    in_order = all_planes(core.dslnet.Convert(source, model=lut))
    again = core.dslnet.Convert(source, model=lut)
    numbers = list(range(len(in_order)))
    random.Random(1).shuffle(numbers)
    assert all(same(planes(again.get_frame(n)), in_order[n]) for n in numbers[:25])


@pytest.mark.parametrize("cut", [1, 20, K, K + 1])
def test_a_scene_knows_nothing_of_the_next(core: Any, lut: str, cut: int) -> None:
    length = 2 * K
    scene = textured(core, vs.RGBS, length=cut)
    marked = core.std.BlankClip(scene, length=1, color=[0.9, 0.1, 0.1]).std.SetFrameProps(_SceneChangePrev=1)
    other = marked + core.std.BlankClip(scene, length=length - cut - 1, color=[0.1, 0.2, 0.9])
    joined = core.dslnet.Convert(scene + other.std.SetFrameProps(_Transfer=1, _Primaries=1), model=lut)
    alone = core.dslnet.Convert(scene, model=lut)
    for n in {0, cut // 2, cut - 1}:
        assert same(planes(joined.get_frame(n)), planes(alone.get_frame(n)))


def test_a_scene_does_not_pump(core: Any, lut: str) -> None:
    """A still with one changing corner: what does not change moves in a straight line from key to key."""
    still = textured(core, vs.RGBS, length=1).std.Loop(K + 1)

    def corner(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        np.asarray(out[0])[:4, :4] = 0.5 + 0.5 * np.sin(n)
        return out

    moving = core.std.ModifyFrame(still, still, corner)
    means = [planes(frame)[0][8:].mean() for frame in core.dslnet.Convert(moving, model=lut, format=vs.RGBS).frames()]
    steps = np.diff(means)
    assert np.abs(steps - steps.mean()).max() < 1e-5


@pytest.mark.parametrize("arguments", [{}, {"peak": 300.0}, {"peak": 4000.0, "saturation": 1.3}, {"strength": 0.5}])
def test_a_ten_bit_grey_ramp_stays_strictly_monotone(core: Any, lut: str, arguments: dict[str, float]) -> None:
    codes = np.arange(64, 941, dtype=np.uint16)
    blank = core.std.BlankClip(format=vs.YUV444P10, width=codes.size, height=4, length=1).std.SetFrameProps(**TAGS_709)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        np.asarray(out[0])[:] = codes
        np.asarray(out[1])[:] = np.asarray(out[2])[:] = 512
        return out

    ramp = core.std.ModifyFrame(blank, blank, fill)
    luma = planes(core.dslnet.Convert(ramp, model=lut, **arguments).get_frame(0))[0][0].astype(int)
    assert np.diff(luma).min() >= 1
    assert luma[0] == 16 << 8, "black stays black"


@pytest.mark.parametrize(
    ("video_format", "width", "height"), [(vs.RGB24, 1, 1), (vs.GRAY8, 3, 1), (vs.YUV444P8, 500, 9)]
)
def test_odd_and_tiny_sizes(core: Any, lut: str, video_format: int, width: int, height: int) -> None:
    source = textured(core, video_format, width=width, height=height, length=2)
    frame = core.dslnet.Convert(source, model=lut).get_frame(1)
    assert (frame.width, frame.height) == (width, height)


def test_values_of_no_picture_stay_between_black_and_peak(core: Any, lut: str) -> None:
    clip = core.dslnet.Convert(wild_values(core), model=lut, peak=400, format=vs.RGBS)
    values = np.stack(planes(clip.get_frame(0)))
    assert np.isfinite(values).all()
    assert 0 <= values.min() <= values.max() <= (400 / 10_000) ** 0.1 * 1.2
    assert clip.get_frame(0).props["DSLNetMaxNits"] <= 400 * (1 + 1e-3)


def test_faults_are_told_as_ever(core: Any, small_model: str) -> None:
    source = textured(core, vs.YUV420P8, length=1)
    with pytest.raises(vs.Error, match="nope"):
        core.dslnet.Convert(source, model="nope-lut")
    late = textured(core, vs.YUV420P8, length=2) + textured(core, vs.YUV420P8, length=1, _FieldBased=2)
    clip = core.dslnet.Convert(late, model=f"{small_model}-lut")
    with pytest.raises(vs.Error, match="interlaced"):
        clip.get_frame(2)

"""What comes out of core.dslnet.Convert: formats, properties, values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from plugin_tests.plugin.clips import planes, same, textured, wild_values

GRAY = ["GRAY8", "GRAY10", "GRAY16", "GRAYH", "GRAYS"]
YUV8 = ["YUV410P8", "YUV411P8", "YUV440P8", "YUV420P8", "YUV422P8", "YUV444P8"]
YUV = ["YUV420P9", "YUV420P10", "YUV422P12", "YUV444P14", "YUV420P16", "YUV420PH", "YUV420PS", "YUV444PH", "YUV444PS"]
RGB = ["RGB24", "RGB27", "RGB30", "RGB36", "RGB42", "RGB48", "RGBH", "RGBS"]


@pytest.mark.parametrize("name", [*GRAY, *YUV8, *YUV, *RGB])
def test_every_input_format_gives_16_bits_of_the_same_shape(core: Any, small_model: str, name: str) -> None:
    source = textured(core, getattr(vs, name), length=1)
    clip = core.dslnet.Convert(source, model=small_model)
    if name.startswith("RGB"):
        assert clip.format.id == vs.RGB48
    elif name.startswith("GRAY"):
        assert clip.format.id == vs.YUV444P16
    else:
        assert clip.format.name == name.split("P")[0] + "P16"
    frame = clip.get_frame(0)
    first = planes(frame)[0]
    assert first.min() < first.max(), "the texture is still there"
    assert frame.props["DSLNetMaxNits"] > frame.props["DSLNetAverageNits"] > 10


SIZES = [
    (vs.RGB24, 1, 1),
    (vs.YUV444P8, 1, 7),
    (vs.YUV444P8, 33, 17),
    (vs.YUV420P8, 2, 2),
    (vs.YUV422P8, 34, 5),
    (vs.GRAY8, 3, 1),
]


@pytest.mark.parametrize(("video_format", "width", "height"), SIZES)
def test_odd_and_tiny_sizes(core: Any, small_model: str, video_format: int, width: int, height: int) -> None:
    source = textured(core, video_format, width=width, height=height, length=2)
    frame = core.dslnet.Convert(source, model=small_model).get_frame(1)
    assert (frame.width, frame.height) == (width, height)


OUTPUTS = ["YUV420P10", "YUV420P16", "YUV422P12", "YUV444P16", "YUV444PS", "RGB30", "RGB48", "RGBH", "RGBS", "GRAY16"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_frame_properties_say_hdr10(core: Any, small_model: str, name: str) -> None:
    source = textured(core, vs.YUV420P8, length=1, ContentLightLevelMax=4000, Title="kept", _AbsoluteTime=2.5)
    clip = core.dslnet.Convert(source, model=small_model, format=getattr(vs, name), peak=800)
    assert clip.format.name.upper() == name
    props = clip.get_frame(0).props
    is_rgb = name.startswith("RGB")
    assert (props["_Matrix"], props["_Transfer"], props["_Primaries"]) == (0 if is_rgb else 9, 16, 9)
    assert props["_Range"] == (1 if is_rgb else 0)
    if name.startswith("YUV420"):
        assert props["_ChromaLocation"] == 2
    if name.startswith("YUV422"):
        assert props["_ChromaLocation"] == 0
    assert (props["MasteringDisplayMaxLuminance"], props["MasteringDisplayMinLuminance"]) == (800.0, 0.0001)
    assert props["MasteringDisplayPrimariesX"] == [0.68, 0.265, 0.15]
    assert props["MasteringDisplayPrimariesY"] == [0.32, 0.69, 0.06]
    assert (props["MasteringDisplayWhitePointX"], props["MasteringDisplayWhitePointY"]) == (0.3127, 0.329)
    assert "ContentLightLevelMax" not in props
    assert (props["Title"], props["_AbsoluteTime"]) == ("kept", 2.5)


def test_light_is_measured_frame_by_frame(core: Any, small_model: str) -> None:
    """Against PQ decoded from the delivered RGBS frame (ST 2084)."""
    clip = core.dslnet.Convert(textured(core, vs.RGB24, length=3), model=small_model, format=vs.RGBS)
    averages = set()
    for frame in clip.frames():
        brightest = np.max(planes(frame), axis=0).astype(np.float64) ** (1 / 78.84375)
        nits = 10_000 * (np.maximum(brightest - 0.8359375, 0) / (18.8515625 - 18.6875 * brightest)) ** (
            1 / 0.1593017578125
        )
        assert frame.props["DSLNetMaxNits"] == pytest.approx(nits.max(), rel=1e-3)
        assert frame.props["DSLNetAverageNits"] == pytest.approx(nits.mean(), rel=1e-3)
        averages.add(frame.props["DSLNetAverageNits"])
    assert len(averages) == 3


ZIMG_INPUTS = ["YUV420P8", "YUV422P10", "YUV444P16", "YUV410P8", "RGB24", "RGBS", "YUV420PS"]


@pytest.mark.parametrize("name", ZIMG_INPUTS)
@pytest.mark.parametrize(
    "tags", [{}, {"_Matrix": 6, "_Primaries": 5}, {"_Range": 1}, {"_ChromaLocation": 1}, {"_Transfer": 13}]
)
def test_strength_zero_is_plain_conversion(core: Any, small_model: str, name: str, tags: dict[str, int]) -> None:
    """zimg's; left to itself it takes curves from tables or polynomials, which one depending on the processor."""
    if name.startswith("RGB") and not tags.keys() <= {"_Primaries", "_Transfer"}:
        pytest.skip("not a tag of RGB")
    source = textured(core, getattr(vs, name), length=2, **tags)
    ours = core.dslnet.Convert(source, model=small_model, strength=0)
    theirs = source.resize.Bicubic(
        format=ours.format.id,
        matrix=0 if name.startswith("RGB") else 9,
        transfer=16,
        primaries=9,
        range=1 if name.startswith("RGB") else 0,
        chromaloc=2 if "420" in name else 0,
        nominal_luminance=203,
        approximate_gamma=0,
    )
    for left, right in zip(ours.frames(), theirs.frames(), strict=True):
        for a, b in zip(planes(left), planes(right), strict=True):
            assert np.abs(a.astype(np.int64) - b).max() <= 1


def bt1886(signal: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """BT.1886's EOTF with black at 0."""
    return signal**2.4


def srgb(signal: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """IEC 61966-2-1's."""
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(
    ("tags", "light"),
    [
        ({}, bt1886),
        ({"_Primaries": 6}, bt1886),
        ({"_Transfer": 13}, srgb),
        ({"_Transfer": 8, "_Primaries": 5}, lambda signal: signal),
    ],
)
def test_every_grey_of_16_bits_is_where_the_formulas_put_it(
    core: Any, small_model: str, tags: dict[str, int], light: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
) -> None:
    """At strength 0: the tagged curve's light, white at 203 cd/m², through ST 2084.

    More than a code, because zimg's sRGB has IEC 61966-2-1's two pieces meet: its linear one ends at 0.03929.
    """
    codes = np.arange(65_536, dtype=np.uint16).reshape(256, 256)

    def ramp(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane in range(3):
            np.asarray(out[plane])[:] = codes
        return out

    blank = core.std.BlankClip(format=vs.RGB48, width=256, height=256, length=1)
    greys = core.std.ModifyFrame(blank, blank, ramp).std.SetFrameProps(**({"_Transfer": 1, "_Primaries": 1} | tags))
    y = (light(codes / 65_535) * 203 / 10_000) ** 0.1593017578125
    expected = 65_535 * ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375
    for plane in planes(core.dslnet.Convert(greys, model=small_model, strength=0).get_frame(0)):
        assert np.abs(plane - expected).max() <= 1.25


@pytest.mark.parametrize("transfer", [4, 5, 8, 13, 17])
def test_other_transfers_are_converted_not_relabelled(core: Any, small_model: str, transfer: int) -> None:
    tagged = textured(core, vs.RGBS, length=1, _Transfer=transfer)
    converted = tagged.resize.Bicubic(transfer=1, approximate_gamma=0)
    left = planes(core.dslnet.Convert(tagged, model=small_model).get_frame(0))
    right = planes(core.dslnet.Convert(converted, model=small_model).get_frame(0))
    plain = planes(core.dslnet.Convert(tagged, model=small_model, transfer_in=1).get_frame(0))
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(left, right, strict=True)) <= 1
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(left, plain, strict=True)) > 100


def test_an_override_equals_the_tag(core: Any, small_model: str) -> None:
    bare = textured(core, vs.YUV420P8, length=1, _Matrix=None, _Transfer=None, _Primaries=None, _Range=None)
    tagged = bare.std.SetFrameProps(_Matrix=5, _Transfer=13, _Primaries=6, _Range=1, _ChromaLocation=2)
    told = core.dslnet.Convert(
        bare, model=small_model, matrix_in=5, transfer_in=13, primaries_in=6, range_in=1, chromaloc_in=2
    )
    expected = planes(core.dslnet.Convert(tagged, model=small_model).get_frame(0))
    guessed = planes(core.dslnet.Convert(bare, model=small_model).get_frame(0))
    for a, b, c in zip(planes(told.get_frame(0)), expected, guessed, strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_the_old_range_property_is_understood(core: Any, small_model: str) -> None:
    """``_ColorRange`` is the other way round; the core mirrors it since R74."""
    bare = textured(core, vs.YUV420P8, length=1, _Range=None)
    new = bare.std.SetFrameProps(_Range=1)
    with pytest.warns(DeprecationWarning):
        old = bare.std.SetFrameProps(_ColorRange=0)
    left, right, guessed = (
        planes(core.dslnet.Convert(clip, model=small_model).get_frame(0)) for clip in (new, old, bare)
    )
    assert same(left, right)
    assert not same(left, guessed)


@pytest.mark.parametrize("peak", [400.0, 1000.0, 4000.0])
def test_values_stay_between_black_and_peak(core: Any, small_model: str, peak: float) -> None:
    source = wild_values(core)
    clip = core.dslnet.Convert(source, model=small_model, peak=peak, format=vs.RGBS)
    frame = clip.get_frame(0)
    values = np.stack(planes(frame))
    y = (peak / 10_000) ** 0.1593017578125
    limit = ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375
    assert values.min() >= 0
    assert values.max() <= limit + 1e-6
    assert frame.props["DSLNetMaxNits"] <= peak * (1 + 1e-4)


def test_ten_bits_are_dithered_and_sixteen_are_not(core: Any, small_model: str) -> None:
    flat = core.std.BlankClip(format=vs.RGBS, width=64, height=64, length=1, color=[0.3, 0.3, 0.3])
    ten = planes(core.dslnet.Convert(flat, model=small_model, format=vs.YUV420P10, strength=0).get_frame(0))[0]
    undithered = core.dslnet.Convert(flat, model=small_model, format=vs.YUV420P10, strength=0, dither_type="none")
    sixteen = planes(core.dslnet.Convert(flat, model=small_model, format=vs.YUV420P16, strength=0).get_frame(0))[0]
    assert len(np.unique(ten)) == 2
    assert ten.mean() * 64 == pytest.approx(sixteen.mean(), abs=2)
    assert len(np.unique(planes(undithered.get_frame(0))[0])) == 1
    assert len(np.unique(sixteen)) == 1


@pytest.mark.parametrize(("model", "dither"), [("{}", "error_diffusion"), ("{}-lut", "ordered")])
def test_a_lut_dithers_by_the_quick_pattern_and_a_network_by_error_diffusion(
    core: Any, small_model: str, model: str, dither: str
) -> None:
    clip = textured(core, vs.YUV420P8)
    arguments = {"model": model.format(small_model), "format": vs.YUV420P10}
    unsaid, said, undithered = (
        planes(core.dslnet.Convert(clip, **arguments, **more).get_frame(0))
        for more in ({}, {"dither_type": dither}, {"dither_type": "none"})
    )
    assert same(unsaid, said)
    assert not same(unsaid, undithered)


@pytest.mark.parametrize("model", ["{}", "{}-lut"])
def test_white_scales_what_is_below_diffuse_white_and_its_light_follows(
    core: Any, small_model: str, model: str
) -> None:
    """A dim grey clip: all of it lies below diffuse white, so each frame's light is a plain multiple."""
    source = core.std.BlankClip(format=vs.RGB24, width=64, height=48, length=1, color=[90, 100, 80])
    lights = []
    for white in (100.0, 203.0):
        clip = core.dslnet.Convert(source, model=model.format(small_model), white=white, precision="fp32")
        with clip.get_frame(0) as frame:
            lights.append(float(frame.props["DSLNetAverageNits"]))
    assert lights[1] < 203
    assert lights[0] / lights[1] == pytest.approx(100 / 203, rel=0.02)


def test_a_peak_below_white_is_refused_before_the_first_frame(core: Any, small_model: str) -> None:
    source = core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=1)
    with pytest.raises(vs.Error, match=r"peak=150.* above white=203"):
        core.dslnet.Convert(source, model=small_model, peak=150)

"""No decoded pixel leaves the peak, whatever chroma subsampling makes of hard edges between saturated colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vapoursynth as vs

from plugin_tests.plugin.clips import planes, textured
from vsdslnet.color.pq import pq_scalar
from vsdslnet.plugin.peak import graph_within_peak, within_peak

PEAK_NITS = 1000.0
PEAK = pq_scalar(PEAK_NITS)
FORMATS = ["YUV420P10", "YUV420P16", "YUV422P12", "YUV444P10", "YUV440P16", "YUV411P16", "YUV410P16", "YUV420PS"]


@pytest.fixture(scope="module")
def patches(core: Any) -> Any:
    """Blocks of white, black and the six purest colours, each as bright as the peak allows; RGBS, PQ BT.2020."""
    blank = core.std.BlankClip(format=vs.RGBS, width=160, height=80, length=1)
    corners = np.array(list(np.ndindex(2, 2, 2)), np.float32) * np.float32(PEAK)
    which = np.random.default_rng(3).integers(0, 8, (16, 32)).repeat(5, 0).repeat(5, 1)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane in range(3):
            np.copyto(np.asarray(out[plane]), corners[which][..., plane])
        out.props.update({"_Matrix": 0, "_Transfer": 16, "_Primaries": 9, "_Range": 1})
        return out

    return core.std.ModifyFrame(blank, blank, fill)


def delivered(patches: Any, name: str, kernel: str = "bicubic") -> Any:
    """Error diffusion where the format has steps; chroma subsampled with ``kernel``."""
    return patches.resize.Bicubic(
        format=getattr(vs, name),
        matrix=9,
        range=0,
        chromaloc=2 if "420" in name else 0,
        resample_filter_uv=kernel,
        dither_type="none" if name.endswith("S") else "error_diffusion",
    )


def brightest(clip: Any) -> float:
    return float(np.max(planes(clip.resize.Bilinear(format=vs.RGBS).get_frame(0))))


@pytest.mark.parametrize("name", FORMATS)
def test_no_decoded_pixel_is_above_the_peak(patches: Any, name: str) -> None:
    before = delivered(patches, name)
    after = within_peak(before, PEAK_NITS)
    assert brightest(before) > PEAK + 0.001, "the patches are a hard case"
    assert brightest(after) <= PEAK + 1e-5
    if "420" in name:
        assert brightest(after.std.SetFrameProps(_ChromaLocation=0)) <= PEAK + 1e-5


@pytest.mark.parametrize("name", ["YUV420P10", "YUV444P16"])
def test_only_luma_gives_way_and_only_where_it_must(patches: Any, name: str) -> None:
    before = delivered(patches, name, kernel="bilinear")  # it does not overshoot, so all chroma is possible
    left, right = planes(before.get_frame(0)), planes(within_peak(before, PEAK_NITS).get_frame(0))
    decoded = np.zeros(left[0].shape)
    for location in (2, 0):
        seen = before.std.SetFrameProps(_ChromaLocation=location).resize.Bilinear(format=vs.RGBS).get_frame(0)
        decoded = np.maximum(decoded, np.max(planes(seen), axis=0))
    assert np.array_equal(left[1], right[1])
    assert np.array_equal(left[2], right[2])
    assert (right[0] <= left[0]).all()
    fits = decoded < PEAK - 0.002  # two 10-bit codes: what rounds down may lose one
    assert fits.mean() > 0.1
    assert np.array_equal(left[0][fits], right[0][fits])


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.endswith("S")])
@pytest.mark.parametrize("columns", [160, 100, 4])
def test_the_native_pass_does_what_the_graph_does(patches: Any, name: str, columns: int) -> None:
    before = delivered(patches.std.CropAbs(columns, 80), name)
    by_graph = planes(graph_within_peak(before, PEAK).get_frame(0))
    native = planes(within_peak(before, PEAK_NITS).get_frame(0))
    assert not np.array_equal(planes(before.get_frame(0))[0], native[0])
    for left, right in zip(by_graph, native, strict=True):
        difference = np.abs(left.astype(int) - right)
        assert difference.max() <= 1, "where a bound lies on a code, floats may round it either way"
        assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("name", ["RGB30", "RGB48", "GRAY16"])
def test_dither_does_not_pass_the_peak_without_chroma_either(core: Any, name: str) -> None:
    flat = core.std.BlankClip(format=vs.RGBS, width=64, height=32, length=1, color=[PEAK] * 3)
    flat = flat.std.SetFrameProps(_Matrix=0, _Transfer=16, _Primaries=9, _Range=1)
    is_rgb = name.startswith("RGB")
    clip = flat.resize.Bicubic(
        format=getattr(vs, name), matrix=0 if is_rgb else 9, range=int(is_rgb), dither_type="error_diffusion"
    )
    after = within_peak(clip, PEAK_NITS)
    top = 2**clip.format.bits_per_sample - 1
    wanted = int(PEAK * top) if is_rgb else int(4096 + PEAK * 56064)
    for plane in planes(after.get_frame(0)):
        assert wanted - 1 <= plane.min() <= plane.max() <= wanted


def test_float_pictures_without_subsampling_come_out_as_they_went_in(patches: Any) -> None:
    left, right = planes(patches.get_frame(0)), planes(within_peak(patches, PEAK_NITS).get_frame(0))
    assert np.abs(np.subtract(left, right)).max() < 1e-6


@pytest.mark.parametrize("name", ["YUV420P10", "YUV420P16"])
def test_convert_keeps_saturated_edges_within_the_peak(core: Any, small_model: str, name: str) -> None:
    source = textured(core, vs.RGB24, width=64, height=32, length=1)
    vivid = core.std.Expr(source, "x 128 > 255 0 ?")
    clip = core.dslnet.Convert(vivid, model=small_model, format=getattr(vs, name), peak=600)
    assert 0.9 * pq_scalar(600) < brightest(clip) <= pq_scalar(600) + 1e-5

"""HLG out of PQ against colour-science, and Convert's HLG output."""

from __future__ import annotations

from typing import Any

import colour
import numpy as np
import pytest
import vapoursynth as vs
from colour.models.rgb.transfer_functions.itur_bt_2100 import gamma_function_BT2100_HLG

from vsdslnet.color.hlg import system_gamma
from vsdslnet.plugin.hlg import pq_to_hlg

Array = np.ndarray[Any, Any]
CODE = 1 / 65_535


def clip_of(picture: Array) -> vs.VideoNode:
    """An RGBS clip of one frame, PQ BT.2020, out of (height, width, 3)."""
    height, width, _ = picture.shape
    blank = vs.core.std.BlankClip(format=vs.RGBS, width=width, height=height, length=1)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane in range(3):
            np.copyto(np.asarray(out[plane]), picture[..., plane].astype(np.float32))
        out.props.update({"_Matrix": 0, "_Transfer": 16, "_Primaries": 9, "_Range": 1})
        return out

    return blank.std.ModifyFrame(blank, fill)


def picture_of(clip: vs.VideoNode) -> Array:
    with clip.get_frame(0) as frame:
        return np.stack([np.asarray(frame[plane]) for plane in range(3)], -1).astype(float)


def colours(peak_nits: float) -> Array:
    """Random colours within the peak, and every grey of 12 bits, as PQ in single precision."""
    top = float(colour.models.eotf_inverse_ST2084(peak_nits))
    random = np.random.default_rng(5).random((64, 256, 3)) * top
    greys = np.repeat(np.linspace(0, top, 4096).reshape(16, 256, 1), 3, -1)
    return np.concatenate([random, greys]).astype(np.float32).astype(float)


@pytest.mark.parametrize("peak_nits", [300, 400, 1000, 1500, 2000, 4000, 10_000])
def test_hlg_is_colour_sciences_within_a_code_of_16_bits(core: Any, peak_nits: float) -> None:
    picture = colours(peak_nits)
    nits = colour.models.eotf_ST2084(picture)
    wanted = colour.models.eotf_inverse_BT2100_HLG(nits, L_B=0, L_W=peak_nits, gamma=system_gamma(peak_nits))
    assert np.abs(picture_of(pq_to_hlg(clip_of(picture), peak_nits)) - wanted).max() < CODE


def test_gamma_is_the_recommendations() -> None:
    assert system_gamma(1000) == 1.2
    assert system_gamma(2000) == pytest.approx(gamma_function_BT2100_HLG(2000))
    assert system_gamma(400) == pytest.approx(gamma_function_BT2100_HLG(400))
    # BT.2390-11 table of section 6.2: extended range.
    assert system_gamma(4000) == pytest.approx(1.481, abs=0.001)
    assert system_gamma(300) == pytest.approx(1.2 * 1.111 ** np.log2(0.3))


@pytest.mark.parametrize("peak_nits", [1000, 2000])
def test_pq_comes_back_from_hlg(core: Any, peak_nits: float) -> None:
    """Through 16-bit HLG and colour-science's EOTF: within a code of 10 bits, and the peak's white is 1."""
    picture = colours(peak_nits)
    hlg = np.round(picture_of(pq_to_hlg(clip_of(picture), peak_nits)) / CODE) * CODE
    nits = colour.models.eotf_BT2100_HLG(hlg, L_B=0, L_W=peak_nits, gamma=system_gamma(peak_nits))
    back = colour.models.eotf_inverse_ST2084(np.maximum(nits, 0))
    bright = colour.models.eotf_ST2084(picture).min(-1) > 0.5  # HLG's steps near black are coarser than PQ's
    assert bright.sum() > 10_000
    assert np.abs(back - picture)[bright].max() * 1023 < 1
    assert hlg[-1, -1] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("model", ["", "-lut"])
def test_convert_gives_tagged_hlg_that_is_its_pq(core: Any, small_model: str, model: str) -> None:
    source = core.std.BlankClip(format=vs.YUV444P16, width=64, height=48, length=1, color=[40_000, 30_000, 36_000])
    source = source.std.SetFrameProps(_Matrix=1, _Transfer=1, _Primaries=1, _Range=0)
    arguments: dict[str, Any] = {"model": small_model + model, "format": vs.RGBS, "peak": 800}
    pq = core.dslnet.Convert(source, **arguments)
    hlg = core.dslnet.Convert(source, transfer="hlg", **arguments)
    with hlg.get_frame(0) as frame:
        assert (frame.props["_Transfer"], frame.props["_Primaries"], frame.props["_Matrix"]) == (18, 9, 0)
        assert not [name for name in frame.props if name.startswith("MasteringDisplay")]
        assert frame.props["DSLNetMaxNits"] > 50
    wanted = colour.models.eotf_inverse_BT2100_HLG(
        colour.models.eotf_ST2084(picture_of(pq)), L_B=0, L_W=800, gamma=system_gamma(800)
    )
    assert np.abs(picture_of(hlg) - wanted).max() < CODE
    yuv = core.dslnet.Convert(source, transfer="hlg", **(arguments | {"format": vs.YUV420P10}))
    with yuv.get_frame(0) as frame:
        props = frame.props
        assert (props["_Matrix"], props["_Transfer"], props["_Primaries"], props["_Range"]) == (9, 18, 9, 0)


def test_another_curve_is_refused(core: Any, small_model: str) -> None:
    source = core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length=1)
    with pytest.raises(vs.Error, match=r"transfer='sdr' is not allowed: one of pq, hlg"):
        core.dslnet.Convert(source, model=small_model, transfer="sdr")

"""One measure of light, wherever it is taken: native code, torch, and VapourSynth's filters on what is delivered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import vapoursynth as vs

from plugin_tests.plugin.clips import textured
from vsdslnet.color.light import measure_light_nits
from vsdslnet.encode.chunk.light import frame_light_nits, with_light


@pytest.mark.parametrize("peak", [300.0, 1000.0])
def test_all_who_measure_a_frames_light_agree(core: Any, peak: float) -> None:
    sdr = textured(core, vs.RGB24, width=48, height=32, length=1)
    hdr = core.dslnet.Convert(sdr, strength=0, peak=peak, format=int(vs.RGBS))
    with hdr.get_frame(0) as frame:
        native = (frame.props["DSLNetMaxNits"], frame.props["DSLNetAverageNits"])
        pq = torch.from_numpy(np.stack([np.array(frame[plane]) for plane in range(3)]))
    delivered = with_light(hdr.resize.Bicubic(format=vs.YUV444P16, matrix_s="2020ncl", range_s="limited"))
    with delivered.get_frame(0) as frame:
        filtered = frame_light_nits(frame)
    assert native[0] > 50
    assert native == pytest.approx(measure_light_nits(pq), rel=1e-4)
    assert filtered == pytest.approx(measure_light_nits(pq), rel=1e-3)

"""Tone mapping and false colour on light of known nits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from vsdslnet.color.sdr_to_hdr import plain_pq
from vsdslnet.color.transfer import nits_to_pq, pq_scalar
from vsdslnet.views import BANDS, false_colour_nits, sdr_to_picture, tone_map_for_sdr


def grey_pq(nits: list[float]) -> torch.Tensor:
    return nits_to_pq(torch.tensor(nits)).expand(3, 1, len(nits))


def test_tone_mapping_is_monotone_from_black_to_white() -> None:
    ramp = torch.linspace(0, pq_scalar(1000), 2000).expand(3, 1, 2000)
    shown = tone_map_for_sdr(ramp)[0].astype(int)
    assert (np.diff(shown, axis=0) >= 0).all()
    assert shown[0].tolist() == [0, 0, 0]
    assert shown[-1].tolist() == [255, 255, 255]
    assert (shown.max(axis=1) - shown.min(axis=1)).max() <= 1


def test_tone_mapping_keeps_midtones_and_leaves_room_for_highlights() -> None:
    mid, white, bright = (int(v) for v in tone_map_for_sdr(grey_pq([20.3, 203, 600]))[0, :, 1])
    assert mid == 89  # sRGB code of a tenth of white
    assert 180 < white < bright < 255


def test_tone_mapping_keeps_hues_that_bt709_can_show() -> None:
    sdr = torch.tensor([0.5, 0.2, 0.1]).reshape(3, 1, 1)
    red, green, blue = (int(v) for v in tone_map_for_sdr(plain_pq(sdr))[0, 0])
    assert red > green > blue
    # What BT.709 can't show is mixed with grey, not clipped to another hue.
    wide = nits_to_pq(torch.tensor([0.0, 40.0, 0.0]).reshape(3, 1, 1))
    red, green, blue = (int(v) for v in tone_map_for_sdr(wide)[0, 0])
    assert green > blue and green > red


def test_false_colour_changes_exactly_at_its_edges() -> None:
    for below, band in pairwise(BANDS):
        picture = false_colour_nits(grey_pq([band.nits * 0.99, band.nits * 1.01]))
        assert tuple(picture[0, 0]) == below.colour
        assert tuple(picture[0, 1]) == band.colour


def test_a_picture_clipped_at_1000_nits_shows_as_1000() -> None:
    clipped = torch.full((3, 1, 1), pq_scalar(1000))
    assert tuple(false_colour_nits(clipped)[0, 0]) == next(b.colour for b in BANDS if b.nits == 1000)


def test_sdr_pictures_keep_their_codes() -> None:
    codes = torch.arange(256).expand(3, 1, 256) / 255
    assert sdr_to_picture(codes)[0, :, 0].tolist() == list(range(256))

"""Plots put light where its axis says it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vsdslnet.color.transfer import nits_to_pq, pq_scalar
from vsdslnet.errors import ArgumentError
from vsdslnet.views import (
    BANDS,
    false_colour_with_legend,
    gamut_plot,
    histogram_nits,
    light_over_time,
    waveform_nits,
)
from vsdslnet.views.plots import _column_shares

pytest.importorskip("matplotlib")


def flat(nits: float) -> torch.Tensor:
    return nits_to_pq(torch.full((3, 24, 40), nits))


def test_waveform_holds_each_column_at_its_light() -> None:
    light = torch.full((24, 40), 26.0)
    light[:, 20:] = 600
    shares = _column_shares(light, levels=256)
    assert shares.shape == (256, 40)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    assert shares[:, 0].argmax() == int(pq_scalar(26) * 256)
    assert shares[:, 39].argmax() == int(pq_scalar(600) * 256)


def test_waveform_of_brighter_light_is_drawn_higher() -> None:
    def centre_of_light(nits: float) -> float:
        picture = waveform_nits(flat(nits), width=400, height=300).astype(int)
        lit = np.argwhere((picture[..., 1] > 200) & (picture[..., 2] < 100))
        assert len(lit)
        return float(lit[:, 0].mean())

    bright, middle, dark = (centre_of_light(nits) for nits in (800, 60, 5))
    assert bright < middle < dark
    # Rows lie as far apart as PQ says: 210 of them from 0 to 10,000 cd/m².
    assert dark - bright == pytest.approx(210 * (pq_scalar(800) - pq_scalar(5)), abs=2)


def test_plots_too_small_for_their_axes_are_refused() -> None:
    with pytest.raises(ArgumentError, match="at least 200"):
        waveform_nits(flat(1.0), width=100, height=300)


def test_plots_have_the_asked_size_and_show_something() -> None:
    noise = nits_to_pq(300 * torch.rand((3, 32, 48), generator=torch.Generator().manual_seed(0)))
    times = [0.0, 1.0, 2.0]
    drawn = {
        "waveform": (waveform_nits(noise, width=500, height=300), (300, 500, 3)),
        "histogram": (histogram_nits(noise, width=400, height=200), (200, 400, 3)),
        "gamut": (gamut_plot(noise, side=320), (320, 320, 3)),
        "light": (light_over_time(times, times, times, width=300, height=200), (200, 300, 3)),
        "map": (false_colour_with_legend(noise, width=600), (312, 600, 3)),
    }
    for name, (picture, shape) in drawn.items():
        assert picture.shape == shape and picture.dtype == np.uint8, name
        assert np.unique(picture.reshape(-1, 3), axis=0).shape[0] > 20, name


def test_black_frames_can_be_plotted() -> None:
    for plot in (waveform_nits, histogram_nits, gamut_plot, false_colour_with_legend):
        assert plot(flat(0.0)).std() > 0


def test_legend_shows_every_band() -> None:
    legend = false_colour_with_legend(flat(50.0), width=900)[:, 720:]
    colours = {tuple(c) for c in np.unique(legend.reshape(-1, 3), axis=0).tolist()}
    assert {band.colour for band in BANDS} <= colours

"""What a film would take: estimates that add up, from a few of its frames, near what a conversion really takes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import convert, open_source
from vsdslnet.encode.source.given import given
from vsdslnet.encode.source.probe import probe
from vsdslnet.errors import MediaError
from vsdslnet.options import BackendOptions
from vsdslnet.tools import film_cost
from vsdslnet.tools.film_cost import ModelCost, film_of, model_costs
from vsdslnet.weights import lut_of


def test_a_film_is_counted_without_being_read(clip: Path) -> None:
    film = film_of(given(clip))
    assert (film.width, film.height) == (96, 64)
    assert film.frames == pytest.approx(len(open_source(probe(clip)).clip), abs=1)
    assert film.decoded_a_second > 0


def test_a_film_that_is_none_is_told(tmp_path: Path) -> None:
    text = tmp_path / "film.mkv"
    text.write_text("no film")
    with pytest.raises(MediaError, match="film"):
        film_of(given(text))


@pytest.mark.parametrize(("hours", "nodes"), [(0.2, 1), (24.0, 1), (24.1, 2), (960.0, 40)])
def test_machines_for_a_day(hours: float, nodes: int) -> None:
    assert ModelCost(model="m", precision="fp32", frames_a_second=1, hours=hours).nodes_for_a_day == nodes


def test_every_model_has_its_cost(clip: Path, small_model: str, monkeypatch: pytest.MonkeyPatch, core: Any) -> None:
    monkeypatch.setattr(film_cost, "available_models", lambda: [small_model])
    monkeypatch.setattr(film_cost, "available_luts", lambda: [lut_of(small_model)])
    monkeypatch.setattr(film_cost, "_NETWORK_PX", 48 * 32)
    film = film_of(given(clip))
    told: list[tuple[str, int, int]] = []
    costs = list(model_costs(film, BackendOptions(precision="fp32"), told=lambda *step: told.append(step)))
    assert [(cost.model, cost.precision) for cost in costs] == [(small_model, "fp32"), (f"{small_model}-lut", "")]
    assert [done for _, done, _ in told] == [0, 1, 2]
    for cost in costs:
        assert cost.hours * 3600 * cost.frames_a_second == pytest.approx(film.frames)


@pytest.mark.parametrize(
    ("taken", "expected", "sizes"),
    [
        (2.0, 8.0, {(48, 32)}),  # a quarter of the pixels, counted four times
        (0.5, 0.5, {(48, 32), (96, 64)}),  # whatever the size: nothing is extrapolated from that
    ],
    ids=["in proportion to pixels", "too fast for small pictures"],
)
def test_how_a_network_is_timed(
    taken: float, expected: float, sizes: set[tuple[int, int]], clip: Path, small_model: str, monkeypatch: Any
) -> None:
    seen = []
    monkeypatch.setattr(film_cost, "_NETWORK_PX", 48 * 32)
    monkeypatch.setattr(film_cost, "_seconds", lambda clip, first, frames: seen.append(clip) or taken)
    settings = EncodeSettings(model=small_model, scene_cuts="none")
    assert film_cost._network_seconds(film_of(given(clip)), settings) == pytest.approx(expected)
    assert {(each.width, each.height) for each in seen} == sizes


def test_a_lut_is_shared_by_its_frames(clip: Path, small_model: str, monkeypatch: Any) -> None:
    """The network runs once an interval; a frame of 0.1 s and a LUT of 0.48 s are 0.11 s a frame."""
    seconds = {0: 3.0, film_cost.KEY_INTERVAL_FRAMES: 0.1 + 0.48, 1: 0.1}
    monkeypatch.setattr(film_cost, "_seconds", lambda clip, first, frames: seconds[first])
    settings = EncodeSettings(model=f"{small_model}-lut", scene_cuts="none")
    assert film_cost._lut_seconds(film_of(given(clip)), settings) == pytest.approx(0.11)


def test_the_frames_shown_are_the_films(clip: Path, small_model: str) -> None:
    """A clip of them converts, and a second call costs no more than what it says."""
    film = film_of(given(clip))
    hdr = convert(film_cost._clip(film, film.width, film.height), EncodeSettings(model=small_model, strength=0))
    started = time.perf_counter()
    spent = film_cost._seconds(hdr, 0, 5) * 5
    assert spent <= time.perf_counter() - started
    means = {float(plane) for plane in (sum(map(sum, memoryview(hdr.get_frame(n)[0]).tolist())) for n in range(6))}
    assert len(means) > 1, "the pictures move"

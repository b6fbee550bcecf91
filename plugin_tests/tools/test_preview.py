"""The preview page: self-contained, truthful about its frames, and its slider works in a real browser."""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plugin_tests.encode.media import make_clip
from vsdslnet.encode.chunk.light import frame_light_nits, with_light
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import convert, deliver, open_source
from vsdslnet.encode.source.given import Given
from vsdslnet.encode.source.probe import probe
from vsdslnet.encode.source.times import parse_times
from vsdslnet.errors import ArgumentError, MissingPackageError
from vsdslnet.plugin.lut_keys import KEY_INTERVAL_FRAMES, keys_in_clip
from vsdslnet.tools.light_curve import MOST_LUTS, light_curves, light_points

pytest.importorskip("matplotlib")
image = pytest.importorskip("PIL.Image")

from vsdslnet.tools.preview import write_report  # noqa: E402 - needs matplotlib


@pytest.fixture(scope="module")
def page(clip: Path, small_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    settings = EncodeSettings(model=small_model, strength=0.5)
    assert write_report(Given(path=clip), path, settings, at_seconds=[0.5, 1.5]) == [12, 36]
    return path


def test_the_page_needs_nothing_but_itself(page: Path) -> None:
    text = page.read_text()
    sources = re.findall(r'src="([^"]*)', text)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", text)
    assert not re.search(r"\$[a-z]", re.sub(r"base64,[A-Za-z0-9+/=]*", "", text))


def test_each_frame_has_its_pictures_and_plots(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r'<section id="frame-(\d+)"', text) == ["12", "36"]
    for name in ("luminance in nits", "waveform in nits", "histogram of nits", "CIE 1976 gamut"):
        assert text.count(f"<figcaption>{name}") == 2
    pngs = [base64.b64decode(data) for data in re.findall(r"base64,([A-Za-z0-9+/=]*)", text)]
    assert len(pngs) == 1 + 2 * 7
    for png in pngs:
        image.open(io.BytesIO(png)).verify()
    pq = [png for png in pngs if b"cICP\x09\x10\x00\x01" in png]
    assert len(pq) == 2


def test_before_is_the_source_frame(page: Path, clip: Path) -> None:
    import av

    text = page.read_text()
    before = re.search(r'class="before"><img src="data:image/png;base64,([^"]*)', text)
    assert before is not None
    shown = np.asarray(image.open(io.BytesIO(base64.b64decode(before[1]))).convert("RGB"), np.int16)
    with av.open(str(clip)) as container:
        frame = [f for _, f in zip(range(13), container.decode(video=0), strict=False)][12]
    assert shown.shape == (64, 96, 3)
    grey = frame.to_ndarray(format="gray").astype(float)
    luma = shown @ [0.2126, 0.7152, 0.0722]
    assert np.corrcoef(luma.ravel(), grey.ravel())[0, 1] > 0.97


def test_frames_are_shown_as_a_player_shows_them(core: Any, small_model: str, tmp_path: Path) -> None:
    """A clip held upright, with pixels twice as wide as high: turned, and with square pixels."""
    source = make_clip(tmp_path / "a.mp4", frames=4, audio=False, rotation=-90, sample_aspect=Fraction(2))
    plain = EncodeSettings(model=small_model, strength=0.0)
    write_report(Given(path=source), tmp_path / "a.html", plain, at_seconds=[0])
    pictures = re.findall(
        r'class="(?:before|after)"><img src="data:image/png;base64,([^"]*)', (tmp_path / "a.html").read_text()
    )
    before, after = (
        np.asarray(image.open(io.BytesIO(base64.b64decode(data))).convert("L"), float) for data in pictures
    )
    assert before.shape == after.shape == (192, 64)
    with core.bs.VideoSource(str(source), cachemode=0, showprogress=0).get_frame(0) as frame:
        player = np.repeat(np.asarray(frame[0], float), 2, axis=0)
    for shown in (before, after):
        assert np.corrcoef(shown.ravel(), player.ravel())[0, 1] > 0.9


def test_frames_are_picked_when_no_times_are_given(clip: Path, small_model: str, tmp_path: Path) -> None:
    settings = EncodeSettings(model=small_model, strength=0)
    told: list[tuple[str, int, int]] = []
    page = tmp_path / "report.html"
    frames = write_report(Given(path=clip), page, settings, told=lambda *counted: told.append(counted))
    assert len(frames) == 4
    assert frames == sorted(set(frames))
    steps = {what: [(done, total) for each, done, total in told if each == what] for what, _, _ in told}
    assert list(steps) == ["looking for cuts", "light curve, by LUTs", f"frames shown, by {small_model}"]
    for counted in steps.values():
        assert counted == [(number, len(counted) - 1) for number in range(len(counted))]


@pytest.mark.parametrize("scanned_px", [0, 10**9])
def test_the_model_converts_the_frames_shown_and_no_others(
    clip: Path, small_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scanned_px: int
) -> None:
    from vsdslnet.inference.converter import Converter, HdrFrame
    from vsdslnet.tools import shown_frames

    converted = []
    call = Converter.__call__

    def counted(self: Converter, window: torch.Tensor, **how: bool) -> HdrFrame:
        converted.append(window)
        return call(self, window, **how)

    monkeypatch.setattr(Converter, "__call__", counted)
    monkeypatch.setattr(shown_frames, "_SCANNED_PX", scanned_px)
    settings = EncodeSettings(model=small_model)
    assert write_report(Given(path=clip), tmp_path / "report.html", settings, at_seconds=[0.5, 1.5]) == [12, 36]
    assert len(converted) == 2


def test_the_light_curve_is_near_the_delivered_light(clip: Path, small_model: str) -> None:
    opened = open_source(probe(clip))
    settings = EncodeSettings(model=small_model, strength=0)
    delivered = with_light(deliver(convert(opened.clip, settings), peak_nits=settings.peak_nits))
    [curve] = light_curves(opened.clip, [settings], None)
    assert [point.frame for point in curve] == [0]
    [curve] = light_curves(opened.clip, [settings], [0])
    assert len(curve) >= 24
    for point in curve:
        with delivered.get_frame(point.frame) as frame:
            assert point[1:] == pytest.approx(frame_light_nits(frame), rel=0.05)


@given(st.integers(1, 400_000), st.none() | st.sets(st.integers(1, 3000), max_size=40))
def test_a_light_curve_needs_few_luts(frames: int, later_cuts: set[int] | None) -> None:
    cuts = None if later_cuts is None else [0, *sorted(cut for cut in later_cuts if cut < frames)]
    points = light_points(frames, cuts)
    assert points == sorted(set(points))
    assert 0 <= points[0] <= points[-1] < frames
    keys = {key.frame for point in points for key in keys_in_clip(point, cuts or [], frames)}
    assert len(keys) <= MOST_LUTS
    if cuts is None and frames > MOST_LUTS * KEY_INTERVAL_FRAMES:
        assert len(points) == MOST_LUTS
        assert max(b - a for a, b in itertools.pairwise(points)) <= frames / (MOST_LUTS - 1) + KEY_INTERVAL_FRAMES


def test_without_matplotlib_the_cure_comes_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: EncodeSettings
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError, match=r"not installed: pip install matplotlib$"):
        write_report(Given(path=tmp_path / "no such film.mkv"), tmp_path / "page.html", settings)


def test_times_are_read_as_people_write_them() -> None:
    assert parse_times("00:10:00,90, 1:30.5") == [600, 90, 90.5]
    for wrong in ("", "ten", "1:2:3:4", "-1"):
        with pytest.raises(ArgumentError, match="at="):
            parse_times(wrong)


def test_a_time_behind_the_end_is_refused(clip: Path, settings: EncodeSettings, tmp_path: Path) -> None:
    plain = replace(settings, strength=0.0)
    with pytest.raises(ArgumentError, match="at=100"):
        write_report(Given(path=clip), tmp_path / "report.html", plain, at_seconds=[100.0])


def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium here")


def browser_dom(url: str, *, profile: Path) -> str:
    """The page as the browser has it after its scripts; the browser's whole family ends with this call."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
    process = subprocess.Popen(
        [browser(), *options, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # its children outlive a killed parent, and can keep a core busy for ever
    )
    try:
        return process.communicate(timeout=120)[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_the_slider_moves_the_edge_in_a_real_browser(page: Path, tmp_path: Path) -> None:
    check = tmp_path / "check.html"
    script = """<script>
const section = document.querySelector("section"), slider = section.querySelector("input");
const edge = () => Math.round(parseFloat(getComputedStyle(section.querySelector(".line")).left));
const width = section.querySelector(".compare").clientWidth, before = edge();
slider.value = 25;
slider.dispatchEvent(new Event("input"));
document.title = `width ${width} before ${before} after ${edge()} broken ${[...document.images].filter(
  (image) => image.complete && !image.naturalWidth).length}`;
</script></body>"""
    check.write_text(page.read_text().replace("</body>", script))
    dom = browser_dom(check.as_uri(), profile=tmp_path / "profile")
    title = re.search(r"<title>width (\d+) before (\d+) after (\d+) broken (\d+)", dom)
    assert title is not None, dom[:300]
    width, before, after, broken = map(int, title.groups())
    assert abs(before - width / 2) <= 2
    assert abs(after - width / 4) <= 2
    assert broken == 0

"""Versions side by side: each is what it says, the network is asked once, and pictures are told from other pictures."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
import torch
import vapoursynth as vs

from plugin_tests.encode.conftest import Command
from plugin_tests.tools.test_preview import browser_dom
from vsdslnet.color.transfer import pq_to_nits
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import convert, open_source
from vsdslnet.encode.source.given import given
from vsdslnet.encode.source.probe import probe
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.looks import Look, read_look, save_look
from vsdslnet.tools.versions import parse_compare
from vsdslnet.views import pq_png

pytest.importorskip("matplotlib")
image = pytest.importorskip("PIL.Image")

from vsdslnet.tools.comparison import write_comparison  # noqa: E402 - needs matplotlib

WHITES = ["white=100", "white=150", "white=203"]


def as_delivered(clip: Path, settings: EncodeSettings, frame: int) -> torch.Tensor:
    """The frame's PQ (3, H, W), by Convert."""
    rgb = convert(open_source(probe(clip)).clip, settings).resize.Bicubic(format=vs.RGBS, range_s="full")
    with rgb.get_frame(frame) as each:
        return torch.from_numpy(np.stack([np.asarray(each[plane]) for plane in range(3)])).clamp(0, 1)


@pytest.fixture(scope="module")
def page(clip: Path, small_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("comparison") / "page.html"
    settings = EncodeSettings(model=small_model)
    assert write_comparison(given(clip), path, settings, ["white=100,150,203"], at_seconds=[0.5, 1.5]) == [12, 36]
    return path


def table(text: str, number: int) -> list[list[str]]:
    rows = re.findall(r"<table>(.*?)</table>", text)[number]
    return [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", rows)]


def test_versions_are_named_with_their_light(page: Path, clip: Path, small_model: str) -> None:
    text = page.read_text()
    film, first, _ = (table(text, number) for number in range(3))
    assert [row[0] for row in film] == [row[0] for row in first] == ["version", *WHITES]
    for rows, average in ((film, 2), (first, 2)):
        light = [float(row[average]) for row in rows[1:]]
        assert light == sorted(light)
        assert light[0] < light[-1]
    settings = EncodeSettings(model=small_model, white_nits=100.0)
    nits = pq_to_nits(as_delivered(clip, settings, 12).amax(dim=0))
    assert float(first[1][2]) == pytest.approx(float(nits.mean()), rel=0.05)


def test_each_picture_is_that_of_its_version(page: Path, clip: Path, small_model: str) -> None:
    text = page.read_text()
    section = text[text.index('<section id="frame-12"') : text.index('<section id="frame-36"')]
    names = re.findall(r'data-version="\d" src="[^"]*" alt="([^"]*)"', section)
    assert names == ["before (SDR)", *WHITES]
    assert re.findall(r'<option value="(\d)" selected>', section) == ["1", "2"]
    for white in (100.0, 203.0):
        start = section.index(f'alt="white={white:g}, for an HDR screen')
        png = base64.b64decode(re.findall(r'base64,([^"]*)"', section[:start])[-1])
        shown = np.asarray(image.open(io.BytesIO(png)).convert("RGB"), float) / 255  # the upper 8 of 16 bits
        ours = as_delivered(clip, EncodeSettings(model=small_model, white_nits=white), 12)
        assert np.abs(shown - ours.movedim(0, -1).numpy()).max() < 0.01


@pytest.mark.parametrize("suffix", ["", "-lut"])
def test_the_network_is_asked_once_a_frame(
    clip: Path, small_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    from vsdslnet.inference import converter
    from vsdslnet.inference.lut import distil

    asked: list[torch.Tensor] = []

    def counted(engine: Any, sdr: torch.Tensor) -> torch.Tensor:
        asked.append(sdr)
        return network_picture(engine, sdr)

    network_picture = converter.network_picture
    for module in (converter, distil):
        monkeypatch.setattr(module, "network_picture", counted)
    settings = EncodeSettings(model=small_model + suffix)
    spent = []
    for compare in ("white=100,203", "white=80,100,150,203,300"):
        asked.clear()
        write_comparison(given(clip), tmp_path / "page.html", settings, [compare], at_seconds=[0.5, 1.5])
        spent.append(len(asked))
    assert spent[0] == spent[1] > 0


def test_looks_and_a_picture_of_the_frame(clip: Path, small_model: str, tmp_path: Path) -> None:
    """The picture was made with a look: that look is nearest to it, and its difference is nothing."""
    own = tmp_path / "mine.safetensors"
    film = read_look("film")
    save_look(Look(film.nodes_pq, 1.1, film.base), own)
    pq = as_delivered(clip, EncodeSettings(model=small_model, look=str(own)), 12)
    graded = tmp_path / "graded.png"
    graded.write_bytes(pq_png(pq))
    path = tmp_path / "page.html"
    settings = EncodeSettings(model=small_model)
    write_comparison(given(clip), path, settings, [str(graded), f"look=none,film,{own}"], at_seconds=[0.5])
    text = path.read_text()
    rows = table(text, 1)
    assert [row[0] for row in rows] == ["version", "look=none", "look=film", f"look={own}", "reference"]
    distance = [float(row[4]) for row in rows[1:4]]
    assert distance[2] < 0.2 < distance[1] < distance[0]
    assert float(rows[1][6]) > 0.3, "brighter than a film grade"
    assert text.count("<figcaption>difference from the reference") == 3
    linear = tmp_path / "graded.exr"
    OpenEXR.File(
        {"chromaticities": (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329)},
        {"RGB": (pq_to_nits(pq) / 203).movedim(0, -1).contiguous().numpy()},
    ).write(str(linear))
    write_comparison(
        given(clip), path, EncodeSettings(model=small_model, look=str(own)), [str(linear)], at_seconds=[0.5]
    )
    assert table(path.read_text(), 1)[1][0] == "as set"
    assert float(table(path.read_text(), 1)[1][4]) < 0.2


def test_what_can_t_be_compared_is_said_in_a_line(clip: Path, small_model: str, tmp_path: Path) -> None:
    settings = EncodeSettings(model=small_model)
    for words, told in (
        (["white=100"], "two to 8 different values"),
        (["white=100,100"], "two to 8 different values"),
        (["white=100,dark"], "^white=.*50 to 600 nits"),
        (["white=100,20"], "^white=20"),
        (["colour=1,2"], r"one option of the look.*peak.*white"),
        (["no-such.png"], "one HDR picture"),
        (["white=100,203", "peak=400,1000"], "one option of the look"),
        (["white=100,2000"], "^white="),
    ):
        with pytest.raises(ArgumentError, match=told):
            parse_compare(words, settings)
    pq = as_delivered(clip, settings, 12)
    other = tmp_path / "other.png"
    other.write_bytes(pq_png(pq.flip(-1)))
    page = tmp_path / "page.html"
    with pytest.raises(MediaError, match="does not show frame 12"):
        write_comparison(given(clip), page, settings, [str(other)], at_seconds=[0.5])
    with pytest.raises(ArgumentError, match=r"^at="):
        write_comparison(given(clip), page, settings, [str(other)])
    other.write_bytes(pq_png(pq[:, :30]))
    with pytest.raises(MediaError, match="of another shape"):
        write_comparison(given(clip), page, settings, [str(other)], at_seconds=[0.5])
    assert not page.exists()


def test_a_still_as_source_has_one_frame_to_compare(small_model: str, tmp_path: Path, command: Command) -> None:
    source = tmp_path / "photo.png"
    random = np.random.default_rng(0).uniform(0, 255, (4, 6, 3)).astype(np.uint8)
    image.fromarray(random).resize((96, 64), image.Resampling.BICUBIC).save(source)
    pq = as_delivered(source, EncodeSettings(model=small_model), 0)
    graded = tmp_path / "graded.png"
    graded.write_bytes(pq_png(pq))
    page = tmp_path / "page.html"
    done = command("preview", str(source), "-o", str(page), "--model", small_model, "--compare", str(graded))
    assert done.returncode == 0, done.stderr
    assert float(table(page.read_text(), 1)[1][4]) < 0.2


def test_any_two_versions_meet_at_the_slider_in_a_real_browser(page: Path, tmp_path: Path) -> None:
    check = tmp_path / "check.html"
    script = """<script>
const section = document.querySelector("section"), left = section.querySelector("select.left");
const names = () => [...section.querySelectorAll(".name")].map((name) => name.textContent).join("/");
const first = names();
left.value = 3;
left.dispatchEvent(new Event("change"));
const same = section.querySelector(".before img").src === section.querySelector('[data-version="3"]').src;
document.title = `first ${first} then ${names()} same ${same} broken ${[...document.images].filter(
  (image) => image.complete && !image.naturalWidth).length}`;
</script></body>"""
    check.write_text(page.read_text().replace("</body>", script))
    dom = browser_dom(check.as_uri(), profile=tmp_path / "profile")
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title is not None, dom[:300]
    assert title[1] == "first white=150/white=100 then white=150/white=203 same true broken 0"

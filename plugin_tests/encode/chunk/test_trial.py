"""The encoder is tried before any work: what it can't take is refused, what it warns of is told."""

from __future__ import annotations

import os
import shutil
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from vsdslnet.encode.bitstream import av1, hevc
from vsdslnet.encode.chunk.encoders import Picture, choose_encoder, x265_option
from vsdslnet.encode.chunk.trial import Trial, try_encoder
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import ArgumentError, MediaError

needs_x265 = pytest.mark.skipif(shutil.which("x265") is None, reason="there is no x265 program")
PROGRAM_AND_LIBRARY = [pytest.param("x265", marks=needs_x265), "av"]


def attempt(
    folder: Path, params: str = "", *, size: tuple[int, int] = (64, 48), rate: Fraction = Fraction(24), **options: Any
) -> Trial:
    given = {"params": params} if params else {}
    settings = EncodeSettings.parse({"preset": "draft", "encoder": "av", **given, **options})
    picture = Picture(width=size[0], height=size[1], frame_rate=rate, sample_aspect=Fraction(1))
    try:
        return try_encoder(choose_encoder(settings), settings, picture=picture, source=Path("in.mkv"), folder=folder)
    finally:
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("encoder", PROGRAM_AND_LIBRARY)
@pytest.mark.parametrize(
    "params", ["no-sao", "--no-sao", "sao=0", "hme", "high-tier", "deblock=-1:-1", "deblock=-1:-1:no-sao", "no-psy-rd"]
)
def test_x265_s_own_spellings_are_taken(params: str, encoder: str, tmp_path: Path) -> None:
    trial = attempt(tmp_path, params, encoder=encoder, size=(64, 64))
    assert len(hevc.access_units(trial.stream)) == 2


def test_two_spellings_of_one_switch_give_the_same_bits(tmp_path: Path) -> None:
    spelt = [attempt(tmp_path, params).stream for params in ("no-sao", "--no-sao", "sao=0")]
    assert spelt[0] == spelt[1] == spelt[2] != attempt(tmp_path).stream


@pytest.mark.parametrize(
    ("name", "value", "spelt"),
    [
        ("sao", "1", ["--sao"]),
        ("sao", "0", ["--no-sao"]),
        ("no-sao", "1", ["--no-sao"]),
        ("no-sao", "0", ["--sao"]),
        ("no-psy-rd", "1", ["--no-psy-rd"]),
        ("deblock", "-1,-1", ["--deblock", "-1,-1"]),
        ("rd", "1", ["--rd", "1"]),
        ("weightp", "false", ["--no-weightp"]),
    ],
)
def test_switches_are_told_from_options_with_values(name: str, value: str, spelt: list[str]) -> None:
    assert x265_option(name, value, switches=frozenset({"sao", "weightp"})) == spelt


@pytest.mark.parametrize("encoder", PROGRAM_AND_LIBRARY)
@pytest.mark.parametrize("params", ["no-such=1", "rd=much", "lambda-file=/no/such/file"])
def test_what_the_encoder_refuses_is_an_error_that_says_so(params: str, encoder: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="params=") as caught:
        attempt(tmp_path, params, encoder=encoder, size=(64, 64))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for a library that crashes")
def test_an_encoder_that_crashes_over_a_parameter_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'x265 [error]: no such list' >&2\nkill -FPE $$\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    folder = tmp_path / "job"
    folder.mkdir()
    with pytest.raises(ArgumentError, match="ended by signal SIGFPE: no such list"):
        attempt(folder, "lambda-file=/no/such/file")


def test_what_the_encoder_warns_of_is_told(tmp_path: Path) -> None:
    assert attempt(tmp_path).warnings == ()
    [warning] = attempt(tmp_path, "frame-dup").warnings
    assert "frame duplication" in warning.lower()
    [warning] = attempt(tmp_path, "hme").warnings
    assert "HME" in warning


@pytest.mark.parametrize("codec", ["hevc", "av1"])
@pytest.mark.parametrize("rate", [Fraction(1, 10), Fraction(1000), Fraction(1, 1000), Fraction(90_000)])
def test_any_rate_is_taken(rate: Fraction, codec: str, tmp_path: Path) -> None:
    trial = attempt(tmp_path, codec=codec, rate=rate)
    units = hevc.access_units(trial.stream) if codec == "hevc" else av1.temporal_units(trial.stream)
    assert len(units) == 2


@pytest.mark.parametrize("codec", ["hevc", "av1"])
@pytest.mark.parametrize("size", [(8, 8), (320, 8), (8, 320), (2, 2)])
def test_a_picture_too_small_is_refused_by_its_size(size: tuple[int, int], codec: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=rf"is {size[0]}x{size[1]} as delivered.*ffmpeg -vf scale=iw") as caught:
        attempt(tmp_path, size=size, codec=codec)
    assert "params" not in str(caught.value)


def test_a_picture_too_large_is_refused_in_the_encoder_s_words(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"16386x64.*16384"):
        attempt(tmp_path, codec="av1", size=(16_386, 64))


@pytest.mark.parametrize(("encoder", "codec", "least"), [("av", "hevc", 16), ("av", "av1", 32)])
def test_the_least_size_is_taken(encoder: str, codec: str, least: int, tmp_path: Path) -> None:
    stream = attempt(tmp_path, encoder=encoder, codec=codec, size=(least, least)).stream
    assert len(hevc.access_units(stream) if codec == "hevc" else av1.temporal_units(stream)) == 2

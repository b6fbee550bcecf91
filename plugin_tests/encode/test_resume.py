"""A stopped job goes on after its files were moved, renamed or touched, and under other words for the same settings."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plugin_tests.encode.container.odd_media import film
from plugin_tests.encode.media import InProcessExecutor, video_times
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import JobError


@pytest.fixture
def quick(small_model: str) -> EncodeSettings:
    """Plain conversion in chunks of eight frames."""
    return EncodeSettings(model=small_model, strength=0.0, preset="draft", encoder="av", chunk_frames=8)


def begin(source: Path, output: Path, settings: EncodeSettings) -> None:
    """Make the first chunk, and stop."""
    with pytest.raises(KeyboardInterrupt):
        encode_file(source, output, settings, executor=InProcessExecutor(limit=1), reporter=QuietReporter())


def go_on(source: Path, output: Path, settings: EncodeSettings) -> list[int]:
    """The chunks that were still to be made."""
    executor = InProcessExecutor()
    encode_file(source, output, settings, executor=executor, reporter=QuietReporter())
    assert len(video_times(output)) == 24
    return executor.made


def test_after_everything_was_moved_to_another_folder(quick: EncodeSettings, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    film(old / "in.mkv", frames=24)
    shutil.copy(quick.model, old / "model.safetensors")
    there = replace(quick, model=str(old / "model.safetensors"))
    begin(old / "in.mkv", old / "out.mkv", there)
    old.rename(new)
    here = replace(quick, model=str(new / "model.safetensors"))
    assert go_on(new / "in.mkv", new / "out.mkv", here) == [1, 2]


def test_after_the_source_was_renamed_and_touched(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", frames=24)
    begin(source, tmp_path / "out.mkv", quick)
    source = source.rename(tmp_path / "renamed.mkv")
    os.utime(source, ns=(1, 1))
    assert go_on(source, tmp_path / "out.mkv", quick) == [1, 2]


@pytest.mark.parametrize(
    ("begun", "now"),
    [
        ({}, {"crf": 22.0}),
        ({"crf": 22}, {"crf": 22.0}),
        ({"crf": 18.0}, {"preset": "draft", "crf": 18.0}),
        ({"parameters": {"no-sao": "1"}}, {"parameters": {"sao": "0"}}),
        ({"parameters": {"sao": "false", "rd": "2"}}, {"parameters": {"rd": "2", "no_sao": "true"}}),
        ({"parameters": {}}, {"parameters": {"weightp": "0"}}),
        ({}, {"device": "cpu", "backend": "torch"}),
        ({"encoder": "av"}, {"encoder": "auto"}),
    ],
)
def test_other_words_for_the_same_settings(
    begun: dict[str, Any],
    now: dict[str, Any],
    quick: EncodeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None)  # "auto" is PyAV's where there is no x265 program
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    source = film(tmp_path / "in.mkv", frames=24)
    begin(source, tmp_path / "out.mkv", replace(quick, **begun))
    assert go_on(source, tmp_path / "out.mkv", replace(quick, **now)) == [1, 2]


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"crf": 23.0}, r"crf None -> 23\.0"),
        ({"preset": "balanced", "crf": 22.0}, "preset 'draft' -> 'balanced'"),
        ({"parameters": {"sao": "0"}}, "parameters {} ->"),
        ({"peak_nits": 600.0}, "peak_nits"),
        ({"precision": "bf16"}, "precision"),
        ({"saturation": 1.1}, "saturation"),
    ],
)
def test_settings_that_change_bits_are_refused(
    now: dict[str, Any], says: str, quick: EncodeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {})  # "auto" is fp32
    source = film(tmp_path / "in.mkv", frames=24)
    begin(source, tmp_path / "out.mkv", quick)
    with pytest.raises(JobError, match=f"settings have changed: .*{says}"):
        go_on(source, tmp_path / "out.mkv", replace(quick, **now))


def test_the_same_model_as_luts_is_another_picture(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", frames=24)
    begin(source, tmp_path / "out.mkv", quick)
    with pytest.raises(JobError, match="settings have changed: model"):
        go_on(source, tmp_path / "out.mkv", replace(quick, model=f"{quick.model}-lut"))


def test_a_stream_may_be_dropped_later(quick: EncodeSettings, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", frames=24)
    begin(source, tmp_path / "out.mkv", quick)
    executor = InProcessExecutor()
    encode_file(source, tmp_path / "out.mkv", quick, executor=executor, reporter=QuietReporter(), drop=[1])
    assert executor.made == [1, 2]


def test_a_job_of_the_version_before_is_refused_with_the_cure(quick: EncodeSettings, tmp_path: Path) -> None:
    source, output = film(tmp_path / "in.mkv", frames=24), tmp_path / "out.mkv"
    begin(source, output, quick)
    folder = tmp_path / "out.mkv.vsdslnet"
    (folder / "job.json").rename(folder / "plan.json")
    with pytest.raises(JobError, match=r"begun by vsdslnet 0\.2; use --restart"):
        go_on(source, output, quick)
    encode_file(source, output, quick, executor=InProcessExecutor(), reporter=QuietReporter(), restart=True)
    assert len(video_times(output)) == 24

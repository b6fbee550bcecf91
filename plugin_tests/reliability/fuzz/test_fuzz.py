"""The short versions of what ``scripts/reliability.py`` measures; weights files are in ``test_weights``."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin_tests.reliability.figures import Options, broken
from plugin_tests.reliability.fuzz import arguments, clips, media_files, situations

pytestmark = pytest.mark.usefixtures("core", "plugin_in_children")


def test_generated_clips_give_valid_frames_or_one_line(tmp_path: Path) -> None:
    assert broken(clips.measure(Options(folder=tmp_path, quick=True))) == []


def test_wrong_arguments_are_named_with_value_and_cure(tmp_path: Path) -> None:
    assert broken(arguments.measure(Options(folder=tmp_path, quick=True))) == []


def test_damaged_files_end_in_a_whole_file_or_one_line(tmp_path: Path) -> None:
    assert broken(media_files.measure(Options(folder=tmp_path, quick=True))) == []


def test_odd_files_are_converted_or_refused_before_the_first_frame(tmp_path: Path) -> None:
    assert broken(situations.measure(Options(folder=tmp_path, quick=True))) == []

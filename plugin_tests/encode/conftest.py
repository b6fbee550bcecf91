"""Jobs need core.dslnet in this process and in workers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plugin_tests.command_line import run_command
from plugin_tests.encode.media import make_clip
from plugin_tests.paths import ROOT
from vsdslnet.encode.settings import EncodeSettings

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def plugin_in_workers(core: Any, shim: Path | None) -> Iterator[None]:
    """Child processes find the package and, where it is not installed, the plugin."""
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), before.get("PYTHONPATH")]))
    if shim is not None:
        os.environ["VAPOURSYNTH_EXTRA_PLUGIN_PATH"] = str(shim.parent)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 frames, two shots, audio, constant frame rate."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mkv")


@pytest.fixture
def settings(small_model: str) -> EncodeSettings:
    """Quick settings that make three or more chunks of the clip."""
    return EncodeSettings(model=small_model, preset="draft", encoder="av", chunk_frames=16)


@pytest.fixture(scope="session")
def command() -> Command:
    """Runs ``vsdslnet`` with arguments in a process of its own."""
    return run_command

"""The scripts that README and docs name, run on a file; and what mpv makes of them, where it is installed."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs

from plugin_tests.encode.media import make_clip
from plugin_tests.paths import ROOT, SCRIPTS

EXAMPLES = SCRIPTS / "examples"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames."""
    return make_clip(tmp_path_factory.mktemp("film") / "film.mkv", frames=4, audio=False)


def output_of(script: str, film: Path) -> vs.VideoNode:
    runpy.run_path(str(EXAMPLES / script), init_globals={"source": str(film)})
    try:
        return vs.get_output(0).clip
    finally:
        vs.clear_outputs()


@pytest.mark.parametrize(
    ("script", "picture_format"),
    [("hdr10.vpy", vs.YUV420P10), ("editing.vpy", vs.RGB48), ("player.vpy", vs.YUV420P10)],
)
def test_an_example_gives_tagged_pq(core: Any, film: Path, script: str, picture_format: int) -> None:
    clip = output_of(script, film)
    assert (clip.format.id, len(clip)) == (picture_format, 4)
    with clip.get_frame(3) as frame:
        assert (frame.props["_Transfer"], frame.props["_Primaries"]) == (16, 9)


@pytest.fixture(scope="module")
def recipe() -> list[str]:
    """mpv's arguments as docs/delivery.md has them."""
    text = (ROOT / "docs" / "delivery.md").read_text()
    found = re.search(r"\| mpv - (--vf=\S+)", text)
    assert found is not None
    return [found[1]]


@pytest.mark.skipif(not shutil.which("mpv"), reason="needs mpv")
def test_mpv_shows_the_pipe_as_pq_and_changes_no_frame(
    core: Any, film: Path, tmp_path: Path, recipe: list[str]
) -> None:
    y4m = tmp_path / "pipe.y4m"
    with y4m.open("wb") as file:
        output_of("player.vpy", film).output(file, y4m=True)
    told = "told ${video-out-params/gamma} ${video-out-params/primaries} ${video-out-params/sig-peak}"
    show = ["--vo=null", "--untimed", f"--term-status-msg={told}"]
    for arguments, wanted in ((recipe, "told pq bt.2020 4.9"), ([], "told bt.1886 bt.709 1.0")):
        with y4m.open("rb") as pipe:
            shown = _mpv(*arguments, *show, stdin=pipe)
        assert wanted in shown.stdout + shown.stderr
    raw = tmp_path / "out.yuv"
    with y4m.open("rb") as pipe:
        _mpv(*recipe, "--of=rawvideo", "--ovc=rawvideo", f"--o={raw}", stdin=pipe)
    frames = y4m.read_bytes().split(b"\n", 1)[1].split(b"FRAME\n")[1:]
    assert len(frames) == 4
    assert raw.read_bytes() == b"".join(frames)


def _mpv(*arguments: str, stdin: Any) -> subprocess.CompletedProcess[str]:
    command = ["mpv", "--no-config", "--no-audio", *arguments, "-"]
    return subprocess.run(command, stdin=stdin, capture_output=True, text=True, timeout=60, check=True)

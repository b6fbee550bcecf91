"""vspipe: a script in, y4m out, and clean ends when somebody stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

VSPIPE = Path(sys.executable).with_name("vspipe")
pytestmark = pytest.mark.skipif(not VSPIPE.exists(), reason="vspipe is not beside this Python")


@pytest.fixture(scope="module", autouse=True)
def vspipe_works(script_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """vspipe needs a shared libpython, which not every Python has."""
    path = tmp_path_factory.mktemp("probe") / "probe.vpy"
    path.write_text("import vapoursynth as vs\nvs.core.std.BlankClip(length=1).set_output()\n")
    result = subprocess.run([VSPIPE, "--info", path, "-"], env=script_env, capture_output=True, text=True, check=False)
    if "VSScript" in result.stderr:
        pytest.skip(f"vspipe does not run here: {result.stderr.strip()}")


@pytest.fixture
def script(prelude: str, small_model: str, tmp_path: Path) -> Any:
    def write(length: int, **arguments: Any) -> Path:
        path = tmp_path / "script.vpy"
        path.write_text(
            f"{prelude}"
            f"clip = core.std.BlankClip(format=vs.YUV420P8, width=64, height=48, length={length})\n"
            f"core.dslnet.Convert(clip, model={small_model!r}, **{arguments!r}).set_output()\n"
        )
        return path

    return write


def start(script: Path, *options: str, env: dict[str, str], **kwargs: Any) -> subprocess.Popen[bytes]:
    command = [VSPIPE, *options, script, "-"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, **kwargs)


def test_y4m_carries_every_frame(script: Any, script_env: dict[str, str]) -> None:
    process = start(script(10, strength=0, format=805961985), "-c", "y4m", env=script_env)  # vs.YUV420P10
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err.decode()
    header, _, body = out.partition(b"\n")
    assert header.startswith(b"YUV4MPEG2 C420p10 W64 H48 ")
    assert len(body) == 10 * (len(b"FRAME\n") + 64 * 48 * 3)


def test_an_error_in_a_frame_ends_vspipe(script: Any, script_env: dict[str, str], tmp_path: Path) -> None:
    path = script(10, strength=0)
    path.write_text(
        path.read_text().replace(
            "core.dslnet.Convert(clip", "core.dslnet.Convert(clip[:5] + clip[5:].std.SetFrameProps(_FieldBased=2)"
        )
    )
    process = start(path, env=script_env)
    _, err = process.communicate(timeout=280)
    assert process.returncode != 0
    assert "the clip is interlaced" in err.decode()


def test_a_closed_pipe_ends_vspipe(script: Any, script_env: dict[str, str]) -> None:
    process = start(script(100_000, num_streams=2), "-c", "y4m", env=script_env)
    assert process.stdout is not None
    process.stdout.read(100_000)
    process.stdout.close()
    process.stdout = None
    began = time.monotonic()
    _, err = process.communicate(timeout=120)
    assert time.monotonic() - began < 60
    assert process.returncode != 0
    assert b"Traceback" not in err
    assert b"core dumped" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.usefixtures("ctrl_c_heard")
@pytest.mark.parametrize("started", [False, True])
def test_ctrl_c_ends_vspipe(script: Any, script_env: dict[str, str], started: bool) -> None:
    """Before the first frame (torch is being imported) and in the middle; vspipe itself then returns 0."""
    process = start(script(100_000, num_streams=2), "-c", "y4m", env=script_env, start_new_session=True)
    assert process.stdout is not None
    if started:
        process.stdout.read(100_000)
    else:
        time.sleep(1)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode not in (-signal.SIGSEGV, -signal.SIGABRT), err.decode()
    assert b"Traceback" not in err
    assert b"Output 100000 frames" not in err

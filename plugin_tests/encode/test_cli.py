"""The command: one line and a documented exit code for everything that can go wrong."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import vapoursynth as vs

from plugin_tests.encode.conftest import Command
from plugin_tests.encode.media import make_clip, video_times
from plugin_tests.encode.source.test_probe import bad_source
from vsdslnet.encode.progress import JsonReporter
from vsdslnet.encode.source.frame_errors import told_of
from vsdslnet.errors import JobError, MediaError


def assert_one_line(done: subprocess.CompletedProcess[str], code: int, says: str) -> None:
    assert done.returncode == code, done.stderr
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("vsdslnet: ")
    assert says in line
    assert done.stdout == ""


def test_help_tells_the_exit_codes(command: Command) -> None:
    done = command("encode", "--help")
    assert done.returncode == 0
    words = " ".join(done.stdout.split())
    assert "Exit codes: 0 done" in words
    assert "--chunk-frames" in words


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--crf", "99"], "crf=99"),
        (["--no-such-option"], "no-such-option"),
        (["--peak", "20"], "peak=20"),
        (["--params", "max-cll=1,1"], "params='max-cll'"),
        (["--params", "max_cll=1,1"], "params='max_cll'"),
        (["--params", "color-primaries=1", "--codec", "av1"], "params='color-primaries'"),
        (["--params", "no-such=1", "--encoder", "av"], "params='no-such=1'"),
        (["--params", "rd=much", "--encoder", "av"], "Invalid value for rd: much"),
        (["--preset", "slow"], "See vsdslnet encode --help"),
        (["--matrix-in", "99"], "matrix_in=99"),
        (["--workers", "0"], "workers=0"),
        (["--codec", "mpeg2"], "mpeg2"),
        (["--engine", "ray"], "--engine is called --executor now"),
        (["--params", "no-such=\udcff"], "params='no-such=\\udcff' is not allowed: UTF-8"),
        (["--store", "s3://bucket/jobs"], "store='s3://bucket/jobs' is not allowed: only with --executor ray"),
    ],
)
def test_a_wrong_argument_is_code_2(
    arguments: list[str], says: str, command: Command, clip: Path, tmp_path: Path
) -> None:
    assert_one_line(command("encode", clip, "-o", tmp_path / "out.mkv", "-q", *arguments), 2, says)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["missing", "directory", "text", "audio", "hdr", "interlaced"])
def test_a_bad_source_is_code_3(kind: str, command: Command, tmp_path: Path) -> None:
    source = bad_source(kind, tmp_path)
    assert_one_line(command("encode", source, "-o", tmp_path / "out.mkv", "-q"), 3, str(source))
    assert not (tmp_path / "out.mkv").exists()
    assert not (tmp_path / "out.mkv.vsdslnet").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
@pytest.mark.parametrize(
    ("name", "says"), [(b"a\xff", "its path is not UTF-8"), (b"x" * 300, "File name too long")], ids=["bytes", "long"]
)
def test_names_that_no_file_should_have_are_told(
    name: bytes, says: str, command: Command, clip: Path, tmp_path: Path
) -> None:
    path = tmp_path / os.fsdecode(name)
    for arguments in (["encode", f"{path}.mkv", "-o", tmp_path / "out.mkv", "-q"], ["info", path], ["lut", path]):
        assert_one_line(command(*arguments), 3, says)
    for arguments in (["encode", clip, "-q", "-o", f"{path}.mkv"], ["lut", clip, "-o", f"{path}.cube"]):
        assert_one_line(command(*arguments), 4, says)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("error_stream", ["2>/dev/full", "2>&-"])
def test_an_error_stream_that_nobody_can_write_to_stops_nothing(
    error_stream: str, clip: Path, small_model: str, tmp_path: Path
) -> None:
    words = ["encode", str(clip), "-o", "out.mkv", "--model", small_model, "--strength", "0", "--preset", "draft"]
    line = shlex.join([sys.executable, "-m", "vsdslnet", *words, "--encoder", "av", "--threads", "1"])
    assert subprocess.run(f"{line} {error_stream}", shell=True, cwd=tmp_path, check=False).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_what_can_not_be_said_is_an_error_of_one_line(clip: Path) -> None:
    line = f"{shlex.join([sys.executable, '-m', 'vsdslnet', 'info', str(clip)])} >/dev/full"
    done = subprocess.run(line, shell=True, check=False, capture_output=True, text=True)
    assert_one_line(done, 4, "can't be written (No space left on device)")


def test_events_that_nobody_can_be_told_stop_the_job() -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(errno.EPIPE, "Broken pipe")

    with pytest.raises(JobError, match=r"standard output: can't be written \(Broken pipe\).*run this command again"):
        JsonReporter(Full()).muxing()


def test_an_error_is_one_line_whatever_the_name(command: Command, tmp_path: Path) -> None:
    assert_one_line(command("info", tmp_path / "a\n\x1b[31mb.mkv"), 3, "a\\n\\x1b[31mb.mkv: there is no such file")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes with names")
def test_a_pipe_is_refused_and_not_waited_for(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    os.mkfifo(path)
    for arguments in (["encode", path, "-o", tmp_path / "out.mkv", "-q"], ["info", path]):
        assert_one_line(command(*arguments), 3, "is a pipe")


def test_a_bad_output_is_code_4(command: Command, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "is.mkv").write_bytes(b"there")
    for output, says in (
        (tmp_path / "is.mkv", "is there already"),
        (tmp_path / "no" / "out.mkv", "no such directory"),
        (clip, "is the source itself"),
    ):
        assert_one_line(command("encode", clip, "-o", output, "-q"), 4, says)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(("options", "says"), [("ro", "can't be written to"), ("size=8k", "no space is left")])
def test_a_read_only_or_full_target_is_code_4(
    options: str, says: str, command: Command, clip: Path, tmp_path: Path
) -> None:
    mounted = ["mount", "-t", "tmpfs", "-o", options, "none", str(tmp_path)]
    if subprocess.run(mounted, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        assert_one_line(command("encode", clip, "-o", tmp_path / "out.mkv", "-q"), 4, says)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_an_unknown_model_is_code_6(command: Command, clip: Path, tmp_path: Path) -> None:
    done = command("encode", clip, "-o", tmp_path / "out.mkv", "-q", "--model", "no-such-model")
    assert_one_line(done, 6, "no-such-model")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="x86-64's kinds")
def test_info_and_bench_say_what_precision_auto_takes_and_why(command: Command, clip: Path, small_model: str) -> None:
    """Without AVX-512 PyTorch has no fast bf16, whatever the processor has."""
    below = os.environ | {"ATEN_CPU_CAPABILITY": "avx2"}
    told = command("bench", "--width", 32, "--height", 32, env=below, anew=True)
    assert told.returncode == 0, told.stderr
    assert re.fullmatch(r"precision auto is fp32 here: .+ has no bf16", told.stdout.splitlines()[-1])
    assert re.fullmatch(r"precision auto is (fp32|bf16) here: .+", command("info", clip).stdout.splitlines()[-1])
    unjudged = command("bench", "--width", 32, "--height", 32, "--model", small_model)
    assert re.fullmatch(
        r"precision auto is fp32 here: .+ (has no bf16|has bf16, but these weights were not judged good in it)",
        unjudged.stdout.splitlines()[-1],
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_a_device_that_is_not_there_is_code_6(command: Command) -> None:
    assert_one_line(command("bench", "--device", "cuda", "--width", 32, "--height", 32), 6, "cuda")


@pytest.mark.parametrize("name", ["encode", "preview", "lut"])
def test_a_directory_without_a_name_is_code_3(name: str, command: Command) -> None:
    assert_one_line(command(name, "."), 3, "is a directory")


def test_a_demo_in_the_place_of_a_file_is_code_4(command: Command, clip: Path) -> None:
    assert_one_line(command("demo", clip), 4, "can't be made")


def test_a_frame_that_can_not_be_had_is_the_source_s_error(core: Any) -> None:
    def refuse(n: int) -> vs.VideoNode:
        raise RuntimeError(f"frame {n}\nis damaged")

    clip = core.std.BlankClip(length=1)
    with pytest.raises(MediaError, match=r"film.mkv: .*frame 0 is damaged"), told_of(Path("film.mkv")):
        clip.std.FrameEval(refuse).get_frame(0)


def test_an_error_before_work_is_one_line_with_a_progress_bar_too(command: Command, tmp_path: Path) -> None:
    assert_one_line(command("encode", tmp_path / "no-folder" / "no.mkv"), 3, "there is no such file")


def test_without_a_name_the_output_lies_beside_the_source(command: Command, small_model: str, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=10)
    done = command("encode", source, "--model", small_model, "--strength", 0, "--preset", "draft")
    assert done.returncode == 0, done.stderr
    assert len(video_times(tmp_path / "in.hdr10.mkv")) == 10
    assert "MaxCLL" in done.stderr


def test_json_lines_tell_the_whole_story(command: Command, small_model: str, tmp_path: Path) -> None:
    source, output = make_clip(tmp_path / "in.mkv", frames=20), tmp_path / "out.mkv"
    options = ["--model", small_model, "--strength", 0, "--chunk-frames", 8, "--preset", "draft", "--json-lines"]
    done = command("encode", source, "-o", output, *options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names = [event["event"] for event in events]
    assert names[0] == "scanning"
    assert names[-2:] == ["muxing", "done"]
    assert [event["chunk"] for event in events if event["event"] == "chunk"] == [0, 1, 2]
    assert events[-1]["frames"] == len(video_times(output)) == 20


@pytest.mark.parametrize(("command_name", "suffix"), [("preview", ".html"), ("lut", ".cube")])
def test_a_page_or_a_lut_never_takes_a_film_s_place(
    command_name: str, suffix: str, command: Command, clip: Path, tmp_path: Path
) -> None:
    before = clip.read_bytes()
    assert_one_line(command(command_name, clip, "-o", clip), 2, f"a name ending in {suffix}")
    assert_one_line(command(command_name, clip, "-o", tmp_path / "no" / f"x{suffix}"), 4, "no such directory")
    assert clip.read_bytes() == before


def test_models_and_their_luts_are_told(command: Command) -> None:
    done = command("models")
    assert done.returncode == 0
    told = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert told[:3] == ["dslnet", "dslnet-fast", "dslnet-lut"]
    assert "dslnet-fast-lut" not in told, "the same as dslnet-lut"


@pytest.mark.usefixtures("ctrl_c_heard")
def test_ctrl_c_says_how_to_go_on_and_leaves_no_worker(small_model: str, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=400, audio=False)
    line = [sys.executable, "-m", "vsdslnet.cli", "encode", source, "-o", tmp_path / "out.mkv", "--model", small_model]
    process = subprocess.Popen(
        [*map(str, line), "--strength", "0", "--json-lines"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert any(json.loads(event)["event"] == "working" for event in process.stdout)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "vsdslnet: stopped; run the same command again to go on\n"
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert not (tmp_path / "out.mkv").exists()

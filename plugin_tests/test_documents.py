"""Every command of README and docs, taken out of their text, is run, and what it makes is read back.

Films are short and small, so that a command takes seconds; else it runs as it stands, in a folder that has ``scripts``.
What installs packages is CI's to run, and what trains is parsed: plugin_tests/training runs it.
"""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import av
import cyclopts
import numpy as np
import pytest
import torch

from plugin_tests.command_line import run_command
from plugin_tests.encode.media import InProcessExecutor, picture
from plugin_tests.paths import ROOT, SCRIPTS
from plugin_tests.reliability.conformance.hdr10_files import light_of_header, wrong_fields
from plugin_tests.small_network import save_small_network
from vsdslnet.hdr10 import ContentLight
from vsdslnet.looks import read_look

DOCUMENTS = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
WIDTH, HEIGHT = 72, 64  # x265 of some systems takes no less than its largest block, of 64
HDR10 = (9, 16, 9, 1)  # matrix, transfer, primaries, limited: FFmpeg's numbers


def commands(document: str) -> list[str]:
    """The lines of a document's shell blocks, continuation lines joined."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", (ROOT / document).read_text(), re.DOTALL | re.MULTILINE)
    lines = (line.strip() for block in blocks for line in re.sub(r"\\\n\s*", "", block).splitlines())
    return [line for line in lines if line]


# Which command is run by which test; the first that matches counts.
TRY = r"^python3 -m venv .* && \.venv/bin/vsdslnet demo$"
TEST = r"^python3 -m venv .* && \.venv/bin/python -m pytest$"
ENCODE = r"^vsdslnet encode film\.mkv -o film\.hdr10\.mkv$"
ENCODE_OTHERWISE = r"^vsdslnet encode film\.mkv -o \S+ --(?!executor)"
ENCODE_SCRIPT = r"^vsdslnet encode film\.vpy --tracks film\.mkv -o film\.hdr10\.mkv$"
ENCODE_MANY = r"^vsdslnet encode \*\.mkv --output-dir out --codec exr"
COMPARE = r"^vsdslnet preview .* --compare "
PREVIEW = r"^vsdslnet preview "
LUT = r"^vsdslnet lut "
X265 = r"^vspipe .*hdr10\.vpy - \| x265 "
FFMPEG = r"^vspipe .*hdr10\.vpy - \| ffmpeg "
PRORES = r"^vspipe .*editing\.vpy - \| ffmpeg .*prores_ks"
TIFFS = r"^vspipe .*editing\.vpy - \| ffmpeg .*\.tif$"
CLUSTER = r"^vsdslnet encode .* --executor ray "
FIT_PICTURES = r"^vsdslnet fit --sdr graded/"
FIT_FILM = r"^vsdslnet fit --sdr s01e01\.mkv "
LOOKED = r"^vsdslnet encode s01e02\.mkv --look "
PLAYER = r"^vspipe .*player\.vpy - \| mpv "
EXTRA = r"^pip install '\.\[\w+\]'|pip install -e '\.\[\w+\]'$|^\.venv/bin/pre-commit install"
HELP = r"^(\.venv/bin/)?python (scripts/\w+\.py|-m vsdslnet\.training \w+) --(help|list)\b"
SCRIPT = r"\bscripts/\w+\.py |-m vsdslnet\.training \w+ "
TESTS = r"^\.venv/bin/python -m pytest\b|^\.ci/run\b"
PATTERNS = (
    TRY, TEST, FIT_PICTURES, FIT_FILM, LOOKED, ENCODE, ENCODE_OTHERWISE, ENCODE_SCRIPT, ENCODE_MANY, COMPARE, PREVIEW,
    LUT, X265, FFMPEG, PRORES, TIFFS, PLAYER, CLUSTER, EXTRA, HELP, SCRIPT, TESTS,
)  # fmt: skip


def matching(pattern: str) -> list[str]:
    """The commands that are this pattern's."""
    lines = [line for document in DOCUMENTS for line in commands(document)]
    return [line for line in lines if next((p for p in PATTERNS if re.search(p, line)), "") == pattern]


def the_command(pattern: str) -> str:
    [command] = matching(pattern)
    return command


def test_every_command_has_a_test() -> None:
    lines = [line for document in DOCUMENTS for line in commands(document)]
    assert len(lines) > 25
    assert [line for line in lines if not any(re.search(pattern, line) for pattern in PATTERNS)] == []


def make_film(path: Path, *, frames: int, rate: Fraction, width: int = WIDTH, height: int = HEIGHT) -> Path:
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=rate)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            rgb = av.VideoFrame.from_ndarray(picture(number, width=width, height=height), format="rgb24")
            frame = rgb.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, 1 / rate
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


Shell = Callable[..., str]


@pytest.fixture
def shell(shim: Path | None, script_env: dict[str, str], tmp_path: Path) -> Shell:
    """Runs a command in the test's folder, which has ``scripts``, with the programs that README names on the PATH."""
    if shutil.which("bash") is None:
        pytest.skip("the commands are bash's")
    programs = tmp_path / "programs"
    programs.mkdir()
    (tmp_path / "scripts").symlink_to(SCRIPTS)
    add_program(programs / "vsdslnet", f'"{sys.executable}" -m vsdslnet.cli')
    add_program(programs / "python", f'"{sys.executable}"')
    if ffmpeg := ffmpeg_program():
        add_program(programs / "ffmpeg", f'"{ffmpeg}" -hide_banner -loglevel error')
    env = script_env | {"PATH": f"{programs}:{script_env['PATH']}", "PWD": str(tmp_path)}
    if shim is not None:
        env["VAPOURSYNTH_EXTRA_PLUGIN_PATH"] = str(shim.parent)

    def run(command: str, *more: str) -> str:
        command = re.sub(r"\s+#.*", "", command)
        if re.match(r"vsdslnet [^|&;>]*$", command):  # bash reads it, and a process that has its imports runs it
            words = subprocess.run(
                ["bash", "-c", f"printf '%s\\0' {command}"], cwd=tmp_path, capture_output=True, text=True, check=True
            ).stdout.split("\0")[1:-1]
            done = run_command(*words, *more, cwd=tmp_path, env=env, chunks_here=True)
            assert done.returncode == 0, done.stderr
            return done.stdout
        line = ["bash", "-o", "pipefail", "-c", command]
        done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=250)
        if "VSScript" in done.stderr:
            pytest.skip(f"vspipe does not run here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def add_program(path: Path, command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def ffmpeg_program() -> str | None:
    try:
        import imageio_ffmpeg
    except ImportError:
        return shutil.which("ffmpeg")
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def needs_ffmpeg() -> None:
    if ffmpeg_program() is None:
        pytest.skip("needs ffmpeg")


def with_copy(command: str, name: str) -> str:
    """The command, with what goes through its pipe kept in a file as well."""
    before, after = command.split(" - | ", 1)
    return f"{before} - | tee {name} | {after}"


def decoded(path: Path) -> tuple[tuple[int, ...], list[list[np.ndarray[Any, Any]]]]:
    """What the frames say (matrix, transfer, primaries, range) and their planes, as fractions of all codes."""
    told: set[tuple[int, ...]] = set()
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            told.add((int(frame.colorspace), int(frame.color_trc), int(frame.color_primaries), int(frame.color_range)))
            top = float(1 << frame.format.components[0].bits)
            planes = [np.frombuffer(bytes(plane), np.uint16).reshape(plane.height, -1) for plane in frame.planes[:3]]
            frames.append([p[:, : q.width] / top for p, q in zip(planes, frame.planes, strict=False)])
    [only] = told
    return only, frames


def assert_near(frames: list[list[np.ndarray[Any, Any]]], expected: Path, *, codes: float) -> None:
    """The planes of each frame are those of a y4m file, but for coding: their means within so many codes of 10 bits."""
    _, wanted = decoded(expected)
    assert len(frames) == len(wanted) > 0
    for planes, originals in zip(frames, wanted, strict=True):
        for plane, original in zip(planes, originals, strict=True):
            assert abs(plane.mean() - original.mean()) * 1024 < codes
            assert np.corrcoef(plane.ravel(), original.ravel())[0, 1] > 0.98


def hdr10_sei(path: Path) -> set[str]:
    with av.open(str(path)) as container:
        return {kind.name for kind in next(container.decode(video=0)).side_data}


@pytest.mark.parametrize(("pattern", "output"), [(X265, "out.hevc"), (FFMPEG, "out.mkv")], ids=["x265", "ffmpeg"])
def test_vspipe_into_an_encoder_is_hdr10(shell: Shell, tmp_path: Path, pattern: str, output: str) -> None:
    if pattern == FFMPEG:
        needs_ffmpeg()
    elif shutil.which("x265") is None:
        add_program(tmp_path / "programs" / "x265", f'"{sys.executable}" "{ROOT / "plugin_tests" / "x265_by_pyav.py"}"')
    make_film(tmp_path / "in.mkv", frames=4, rate=Fraction(24))
    shell(with_copy(the_command(pattern), "piped.y4m"))
    told, frames = decoded(tmp_path / output)
    assert told == HDR10
    assert_near(frames, tmp_path / "piped.y4m", codes=2)
    assert {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"} <= hdr10_sei(tmp_path / output)
    with av.open(str(tmp_path / output)) as container:
        assert next(container.decode(video=0)).chroma_location == 3  # top left


def test_vspipe_into_prores(shell: Shell, tmp_path: Path) -> None:
    needs_ffmpeg()
    make_film(tmp_path / "in.mkv", frames=2, rate=Fraction(24))
    shell(with_copy(the_command(PRORES), "piped.y4m"))
    told, frames = decoded(tmp_path / "out.mov")
    assert told == HDR10
    assert_near(frames, tmp_path / "piped.y4m", codes=0.5)


def test_vspipe_into_tiffs(shell: Shell, tmp_path: Path) -> None:
    needs_ffmpeg()
    cv2 = pytest.importorskip("cv2")
    make_film(tmp_path / "in.mkv", frames=2, rate=Fraction(24))
    command = the_command(TIFFS)
    assert " -s 1920x1080 " in command
    shell(with_copy(command.replace("1920x1080", f"{WIDTH}x{HEIGHT}"), "piped.gbr"))
    green, blue, red = np.fromfile(tmp_path / "piped.gbr", np.uint16).reshape(2, 3, HEIGHT, WIDTH)[1]
    written = cv2.imread(str(tmp_path / "frame000002.tif"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(written, np.stack([blue, green, red], -1))


@pytest.fixture(scope="module")
def cheap_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What judges a look in a minute less than the shipped network."""
    return str(save_small_network(tmp_path_factory.mktemp("model") / "cheap.safetensors", cheapest=True))


def test_fit_from_pictures(shell: Shell, cheap_model: str, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    openexr = pytest.importorskip("OpenEXR")
    (tmp_path / "graded").mkdir()
    for number in range(3):
        sdr = cv2.GaussianBlur(np.random.default_rng(number).integers(0, 256, (60, 80, 3), dtype=np.uint8), (0, 0), 4)
        sdr = cv2.normalize(sdr, None, 0, 255, cv2.NORM_MINMAX)
        cv2.imwrite(str(tmp_path / "graded" / f"{number}.png"), sdr[..., ::-1])
        light = (0.6 * (sdr / 255.0) ** 2.2).astype(np.float32)
        part = {"RGB": np.ascontiguousarray(light)}
        openexr.File({"type": openexr.scanlineimage}, part).write(str(tmp_path / "graded" / f"{number}.exr"))
    said = shell(the_command(FIT_PICTURES), "--model", cheap_model)  # which only judges it
    assert "3 examples, each left out in turn" in said
    assert read_look(str(tmp_path / "mine.safetensors")).base == "measured"


def test_fit_from_a_film_and_its_look(shell: Shell, cheap_model: str, tmp_path: Path) -> None:
    """The film's HDR version is what the SDR one came from, so its look is darker than the middle of real pairs."""
    pytest.importorskip("cv2")
    from plugin_tests.training.dataset.test_from_video import encode, film_nits, sdr_of
    from vsdslnet.color.transfer import nits_to_pq

    nits = film_nits(0)
    encode(tmp_path / "s01e01.hdr.mkv", [nits_to_pq(torch.from_numpy(f.copy())).numpy() for f in nits], hdr=True)
    encode(tmp_path / "s01e01.mkv", [sdr_of(f) for f in nits], hdr=False)
    make_film(tmp_path / "s01e02.mkv", frames=4, rate=Fraction(24))
    said = shell(the_command(FIT_FILM), "--model", cheap_model)
    assert "4 examples, each left out in turn" in said
    shell(the_command(LOOKED))
    with av.open(str(tmp_path / "s01e02.hdr10.mkv")) as container:
        assert next(container.decode(video=0)).color_trc == 16


def test_what_a_player_is_given(shell: Shell, tmp_path: Path) -> None:
    """mpv, which no package brings, is left out: the frames that it would get are read back."""
    make_film(tmp_path / "in.mkv", frames=2, rate=Fraction(24))
    shell(the_command(PLAYER).split(" | ")[0] + " > piped.y4m")
    _, frames = decoded(tmp_path / "piped.y4m")
    assert len(frames) == 2


def content_light(path: Path) -> ContentLight:
    max_cll, max_fall = light_of_header(path)["light"]
    return ContentLight(max_cll_nits=max_cll, max_fall_nits=max_fall)


def test_encode(shell: Shell, tmp_path: Path) -> None:
    make_film(tmp_path / "film.mkv", frames=4, rate=Fraction(24))
    shell(f"{the_command(ENCODE)} | cat")  # with its worker
    output = tmp_path / "film.hdr10.mkv"
    assert wrong_fields(output, "hevc", content_light(output)) == []


@pytest.mark.parametrize("command", matching(ENCODE_OTHERWISE))
def test_encode_otherwise(shell: Shell, tmp_path: Path, command: str) -> None:
    width, height = (256, 120) if "dnxhr" in command else (WIDTH, HEIGHT)  # the least of DNxHR
    make_film(tmp_path / "film.mkv", frames=2, rate=Fraction(24), width=width, height=height)
    shell(command)
    output = tmp_path / shlex.split(command)[4]
    if output.suffix in (".exr", ".png", ".tif"):
        assert len(list(output.parent.glob(f"*{output.suffix}"))) == 2
        return
    with av.open(str(output)) as container:
        video = container.streams.video[0]
        context = video.codec_context
        told = int(context.colorspace), int(context.color_trc), int(context.color_primaries)
        assert told == ((9, 18, 9) if "hlg" in command else (9, 16, 9))
        assert len(list(container.decode(video))) == 2


def test_encode_a_script(shell: Shell, tmp_path: Path) -> None:
    make_film(tmp_path / "film.mkv", frames=4, rate=Fraction(24))
    lines = ["import vapoursynth as vs", 'vs.core.bs.VideoSource("film.mkv", cachemode=0).set_output()']
    (tmp_path / "film.vpy").write_text("\n".join(lines))
    shell(the_command(ENCODE_SCRIPT))
    output = tmp_path / "film.hdr10.mkv"
    assert wrong_fields(output, "hevc", content_light(output)) == []


def test_encode_many(shell: Shell, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_film(tmp_path / f"{name}.mkv", frames=2, rate=Fraction(24))
    shell(the_command(ENCODE_MANY))
    assert len(list(tmp_path.glob("out/[ab].hdr10/00000[12].exr"))) == 4


@pytest.mark.parametrize("command", matching(TESTS))
def test_what_test_commands_name_exists(command: str) -> None:
    program, *arguments = shlex.split(command, comments=True)
    for path in (program.removeprefix(".venv/bin/python"), *arguments):
        assert not path.startswith((".ci", "plugin_tests")) or (ROOT / path).exists()


def test_preview(shell: Shell, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    make_film(tmp_path / "film.mkv", frames=121, rate=Fraction(1, 10))  # twenty minutes
    shell(the_command(PREVIEW))
    assert re.findall(r'<section id="frame-(\d+)"', (tmp_path / "report.html").read_text()) == ["60", "120"]


@pytest.mark.parametrize("command", matching(COMPARE))
def test_compare(shell: Shell, tmp_path: Path, command: str) -> None:
    pytest.importorskip("matplotlib")
    exr = pytest.importorskip("OpenEXR")
    make_film(tmp_path / "film.mkv", frames=121, rate=Fraction(1, 10))  # twenty minutes
    shutil.copy(ROOT / "models" / "looks" / "film.safetensors", tmp_path / "mine.safetensors")
    frame = (picture(60, width=WIDTH, height=HEIGHT) / 255) ** 2.2
    with exr.File({}, {"RGB": np.ascontiguousarray(frame, dtype=np.float32)}) as graded:
        graded.write(str(tmp_path / "graded.exr"))
    shell(command)
    page = (tmp_path / shlex.split(command)[-1]).read_text()
    assert [name for name in ("white=150", "look=film", "dE") if name in page]


def test_lut(shell: Shell, tmp_path: Path) -> None:
    colour = pytest.importorskip("colour")
    make_film(tmp_path / "in.mkv", frames=3, rate=Fraction(1, 5))
    assert "frame 2" in shell(the_command(LUT))
    table = colour.read_LUT(str(tmp_path / "scene.cube")).table
    assert table.shape[3] == 3
    assert np.all(np.diff(table[range(len(table)), range(len(table)), range(len(table)), 1]) >= 0)  # grey


def test_try_it(core: Any, plugin_in_children: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a smaller clip than the demo's own; what comes before, CI runs for the tests themselves."""
    from vsdslnet import cli
    from vsdslnet.tools import demo

    write = demo.write_sdr_clip
    monkeypatch.setattr(demo, "write_sdr_clip", lambda path: write(path, width=128, height=72, frames=13))
    monkeypatch.setattr(cli, "_executor", lambda job: InProcessExecutor())
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(the_command(TRY).rpartition("&&")[2])
    assert program == ".venv/bin/vsdslnet"
    with pytest.raises(SystemExit, match="0"):
        cli.main(arguments)
    names = {"dusk_sdr.mkv", "dusk_hdr10.mkv", "dusk_before_after.png"}
    assert names <= {path.name for path in (tmp_path / "demo").iterdir()}
    output = tmp_path / "demo" / "dusk_hdr10.mkv"
    assert wrong_fields(output, "hevc", content_light(output)) == []


def test_ci_runs_the_test_command() -> None:
    assert the_command(TEST) in (ROOT / ".ci" / "run").read_text()


def test_extras_that_anything_names_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = set(project["optional-dependencies"])
    assert matching(EXTRA)
    files = [ROOT / document for document in DOCUMENTS] + [*ROOT.glob("vsdslnet/**/*.py"), *ROOT.glob("scripts/*.py")]
    for file in files:
        for extras in re.findall(r"(?:vsdslnet|['\"]\.)\[([a-z0-9,]+)\]", file.read_text()):
            assert set(extras.split(",")) <= known, f"{file}: {extras}"


class Parsed(Exception):
    """The command line was understood."""


@pytest.fixture
def stop_when_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parsed(self: argparse.ArgumentParser, *arguments: Any) -> None:
        parse(self, *arguments)
        raise Parsed

    def called(self: cyclopts.App, words: list[str] | None = None, **options: Any) -> None:
        self.parse_args(sys.argv[1:] if words is None else words, exit_on_error=False, print_error=False)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    monkeypatch.setattr(cyclopts.App, "__call__", called)


@pytest.mark.usefixtures("stop_when_parsed")
@pytest.mark.parametrize("command", matching(SCRIPT))
def test_training_commands_are_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("accelerate")
    words = [word for word in shlex.split(command, comments=True) if word not in ("nohup", "&")]
    words = [word for word in words if not re.fullmatch(r"[A-Z_]+=\d+", word)]
    at = next(number for number, word in enumerate(words) if word.startswith(("scripts/", "-m")))
    understood_by_launcher(words[:at], words[at:])
    with pytest.raises(Parsed):
        run_python(words[at:], monkeypatch)


def run_python(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``python WORDS`` in this process."""
    if words[0] == "-m":
        import_module(f"{words[1]}.__main__").main(words[2:])
        return
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(ROOT / words[0]), run_name="__main__")


def understood_by_launcher(launcher: list[str], rest: list[str]) -> None:
    """torchrun reads abbreviations of its own options out of a script's, so it is shown all of the line."""
    if launcher == ["python"]:
        return
    parser: argparse.ArgumentParser
    if launcher[0] == "torchrun":
        from torch.distributed.run import get_args_parser

        parser, options = get_args_parser(), launcher[1:]
    else:
        from accelerate.commands.launch import launch_command_parser

        assert launcher[:2] == ["accelerate", "launch"]
        parser, options = launch_command_parser(), launcher[2:]
    found, _ = parser.parse_known_args([*options, *rest])
    assert found.training_script == rest[0]
    assert found.training_script_args == rest[1:]


@pytest.mark.parametrize("command", sorted({shlex.join(shlex.split(line, comments=True)) for line in matching(HELP)}))
def test_scripts_tell_what_they_can(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("accelerate")
    try:
        run_python(shlex.split(command)[1:], monkeypatch)
    except SystemExit as end:
        assert not end.code
    assert len(capsys.readouterr().out.splitlines()) > 5


@pytest.mark.parametrize("command", matching(CLUSTER))
def test_cluster_commands_are_understood(command: str) -> None:
    from vsdslnet.cli import app

    app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


INLINE = sorted(
    {line for document in DOCUMENTS for line in re.findall(r"`vsdslnet ([a-z][^`]*)`", (ROOT / document).read_text())}
)


@pytest.mark.parametrize("words", INLINE)
def test_commands_that_the_text_names_exist(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    from vsdslnet.cli import app

    name, *_ = words.split()
    app([name, "--help"], exit_on_error=False, print_error=False, result_action="return_value")
    assert f"Usage: vsdslnet {name}" in capsys.readouterr().out

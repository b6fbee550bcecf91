"""What one system has and another lacks is used behind a guard only: Windows and macOS run the same code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import msgspec
import pytest

from vsdslnet.encode.child_process import how_ended
from vsdslnet.encode.job.folder import job_folder
from vsdslnet.encode.source.probe import SourceInfo
from vsdslnet.errors import ArgumentError

ROOT = Path(__file__).resolve().parents[1]

# What type stubs know of on every system, and what is no name of Python's at all.
_POSIX_ARGUMENTS = {"preexec_fn", "process_group", "start_new_session", "pass_fds"}
_POSIX_PATHS = ("/proc", "/dev", "/sys", "/tmp")


def missing_names(*what: str, system: str, cache: Path) -> list[str]:
    """Names of the standard library that the system lacks, by mypy's stubs; guards on sys.platform are understood."""
    told = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file=", f"--cache-dir={cache}", f"--platform={system}"),
            *("--no-site-packages", "--ignore-missing-imports", "--no-error-summary", *what),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert told.returncode in (0, 1), told.stdout + told.stderr
    return [line for line in told.stdout.splitlines() if "Module has no attribute" in line]


def unguarded(source: str) -> list[str]:
    """Uses of POSIX in functions (or a module's own lines) that never ask which system it is."""
    found = []
    module = ast.parse(source)
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]
    inside = {node for function in functions for node in ast.walk(function)}
    scopes = [(function, list(ast.walk(function))) for function in functions]
    for scope, own in [(module, [node for node in ast.walk(module) if node not in inside]), *scopes]:
        if "sys.platform" in ast.unparse(scope) and scope is not module:
            continue
        for node in own:
            match node:
                case ast.keyword(arg=str(name)) if name in _POSIX_ARGUMENTS:
                    found.append(name)
                case ast.Constant(value=str(text)) if re.match(rf"({'|'.join(_POSIX_PATHS)})\b", text):
                    found.append(text)
                case ast.Call(func=ast.Attribute(attr="CDLL"), args=[ast.Constant(value=None)]):
                    found.append("CDLL(None)")
                case ast.Attribute(value=ast.Name(id="os"), attr="name"):
                    found.append("os.name: mypy understands sys.platform")
    return found


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_every_name_of_the_standard_library_is_there_on_each_system(system: str, tmp_path: Path) -> None:
    assert missing_names("-p", "vsdslnet", system=system, cache=tmp_path) == []


def test_a_name_that_windows_lacks_is_found(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import fcntl, os, signal, sys\n"
        "print(signal.SIGKILL)\nos.killpg(1, 2)\nos.sched_getaffinity(0)\nfcntl.flock(1, fcntl.LOCK_EX)\n"
        "if sys.platform == 'linux':\n    os.sched_getscheduler(0)\n"
    )
    told = missing_names(str(script), system="win32", cache=tmp_path / "cache")
    assert [re.search(r'attribute "(\w+)"', line)[1] for line in told] == [  # type: ignore[index]
        "SIGKILL", "killpg", "sched_getaffinity", "flock", "LOCK_EX",
    ]  # fmt: skip


@pytest.mark.parametrize("path", sorted((ROOT / "vsdslnet").rglob("*.py")), ids=lambda path: path.stem)
def test_arguments_and_paths_of_posix_stand_behind_a_guard(path: Path) -> None:
    assert unguarded(path.read_text(encoding="utf-8")) == []


def test_arguments_and_paths_without_a_guard_are_found() -> None:
    source = """
import os, subprocess, sys, ctypes
LIBRARY = ctypes.CDLL(None)
def start(): subprocess.Popen(["x"], start_new_session=True)
def read(): return open("/proc/self/status")
def guarded(): return open("/proc/self/status") if sys.platform == "linux" else None
def asks(): return os.name == "posix"
"""
    assert unguarded(source) == [
        "CDLL(None)", "start_new_session", "/proc/self/status", "os.name: mypy understands sys.platform",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "with exit code 0"),
        (1, "with exit code 1"),
        (-9, "by signal SIGKILL (out of memory?)"),
        (-15, "by signal SIGTERM"),
        (-200, "by signal 200"),
        (0xC0000005, "with exit code 0xc0000005"),  # STATUS_ACCESS_VIOLATION of Windows
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has few of the signals")
def test_how_a_process_ended(code: int, words: str) -> None:
    assert how_ended(code) == words


def test_a_windows_path_is_told_as_it_is_written() -> None:
    path = r"C:\Users\Ada\new film.txt"
    error = ArgumentError("output", str(PureWindowsPath(path)), "a name ending in .mkv")
    assert str(error) == rf"output='{path}' is not allowed: a name ending in .mkv"


def test_a_windows_path_survives_in_a_job() -> None:
    path = r"\\server\share\new\tab.mkv"
    info = SourceInfo(
        path=path, track=0, width=2, height=2, claimed_rates=((24, 1),), sample_aspect=(1, 1), display_matrix=(),
        duration_seconds=None,
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(info), type=SourceInfo).path == path


def test_a_jobs_folder_lies_beside_its_output_on_every_system() -> None:
    output = PureWindowsPath(r"D:\films\one.two.mkv")
    assert str(job_folder(output)) == r"D:\films\one.two.mkv.vsdslnet"  # type: ignore[arg-type]

"""Commands in a process of their own, as a user has them, without the seconds that importing PyTorch takes each time.

Where processes can be forked safely, they are forked from one that has imported everything and done nothing.
"""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.context import ForkServerContext
from pathlib import Path

__all__ = ["CommandUnderWay", "forking_context", "run_command", "run_python"]

_IMPORTED = [
    *("torch", "numpy", "av", "cv2", "vapoursynth", "accelerate", "rich.progress", "vsdslnet.cli"),
    *("vsdslnet.encode.batch", "vsdslnet.encode.workers.local", "vsdslnet.plugin.convert", "vsdslnet.tools.bench"),
]
Done = subprocess.CompletedProcess[str]


def run_python(
    *arguments: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    anew: bool = False,
    chunks_here: bool = False,
    timeout_seconds: float = 280,
) -> Done:
    """``python`` with a script and its arguments, or with ``-m``, a module of ours that has a ``main``, and its own.

    ``anew``: nothing is loaded before, for an ``env`` that libraries read then. ``chunks_here``: made by the process
    itself, not by a worker, which would load everything anew. TimeoutExpired, with what it said, if it was killed.
    """
    words = [str(argument) for argument in arguments]
    if anew or sys.platform != "linux":
        line = [sys.executable, *words]
        return subprocess.run(
            line, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=timeout_seconds
        )
    with tempfile.TemporaryDirectory() as name:
        said = Path(name)
        known = words, said, cwd or Path.cwd(), dict(env or os.environ), chunks_here
        process = forking_context().Process(target=_forked, args=known)
        process.start()
        process.join(timeout_seconds)
        if hangs := process.exitcode is None:
            process.kill()
            process.join()
        out, err = ((said / stream).read_text(encoding="utf-8") for stream in ("out", "err"))
        if hangs:
            raise subprocess.TimeoutExpired(words, timeout_seconds, out, err)
        return subprocess.CompletedProcess(words, process.exitcode, out, err)


run_command = partial(run_python, "-m", "vsdslnet.cli")
"""``vsdslnet`` with arguments, to its end: :func:`run_python`'s."""


class CommandUnderWay:
    """``vsdslnet`` with arguments, in a session of its own: what :class:`subprocess.Popen` has of it."""

    def __init__(self, *arguments: object) -> None:
        words = [str(argument) for argument in arguments]
        self._process = forking_context().Process(target=_in_a_session, args=(words, Path.cwd(), dict(os.environ)))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        while self.poll() is None and os.getsid(self.pid) != self.pid:
            time.sleep(0.001)

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has one; TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("vsdslnet", timeout or 0.0)
        return self._process.exitcode


def forking_context() -> ForkServerContext:
    """Where processes come from that have everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    return context


def _in_a_session(words: list[str], cwd: Path, env: dict[str, str]) -> None:
    gc.freeze()  # no collection of garbage, of which VapourSynth makes many, has to look through what was imported
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    import_module("vsdslnet.cli").main(words)


def _forked(words: list[str], said: Path, cwd: Path, env: dict[str, str], chunks_here: bool) -> None:
    gc.freeze()  # as above
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for number, stream in ((1, "out"), (2, "err")):
        with (said / stream).open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    faulthandler.enable()
    if chunks_here:
        from plugin_tests.encode.media import InProcessExecutor
        from vsdslnet import cli

        cli._executor = lambda _: InProcessExecutor()
    if words[0] != "-m":
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
        return
    package, *arguments = words[1:]
    spec = find_spec(package)
    is_package = spec is not None and spec.submodule_search_locations is not None
    import_module(f"{package}.__main__" if is_package else package).main(arguments)

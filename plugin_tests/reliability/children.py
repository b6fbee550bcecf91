"""Checks that could take their process with them, run in a process of their own."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec

from plugin_tests.command_line import run_python
from plugin_tests.paths import ROOT

__all__ = ["ROOT", "how_it_ended", "run_module"]


def run_module(
    module: str, *arguments: object, timeout_seconds: float, anew: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a module of this checkout as a program; a child that hangs is killed and ends with -9.

    ``anew``: an interpreter that starts and ends as any other, where that is what is looked at.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONFAULTHANDLER": "1"}
    spec = find_spec(module)
    assert spec is not None
    try:
        return run_python(spec.origin, *arguments, env=env, anew=anew, timeout_seconds=timeout_seconds)
    except subprocess.TimeoutExpired as hung:
        error = f"{_text(hung.stderr)}\nkilled after {timeout_seconds:g} s"
        return subprocess.CompletedProcess(hung.cmd, -9, _text(hung.stdout), error)


def _text(said: bytes | str | None) -> str:
    """Of an exception of subprocess, which holds bytes whatever was asked for."""
    return said.decode() if isinstance(said, bytes) else said or ""


def how_it_ended(done: subprocess.CompletedProcess[str]) -> str:
    """One line for a child that did not end well."""
    lines = [line for line in done.stderr.strip().splitlines() if line] or ["no word"]
    return f"exit code {done.returncode}: {lines[-1]}"

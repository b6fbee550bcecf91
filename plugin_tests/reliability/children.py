"""Checks that could take their process with them, run in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys

from plugin_tests.paths import ROOT

__all__ = ["ROOT", "how_it_ended", "run_module"]


def run_module(
    module: str, *arguments: object, timeout_seconds: float, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module arguments`` of this checkout; a child that hangs is killed and ends with -9."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-m", module, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
    )
    try:
        out, error = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, error = process.communicate()
        error += f"\nkilled after {timeout_seconds:g} s"
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def how_it_ended(done: subprocess.CompletedProcess[str]) -> str:
    """One line for a child that did not end well."""
    lines = [line for line in done.stderr.strip().splitlines() if line] or ["no word"]
    return f"exit code {done.returncode}: {lines[-1]}"

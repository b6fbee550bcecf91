"""The plugin in a process that has no Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import vapoursynth as vs

PACKAGE = Path(vs.__file__).parent


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="compiles a small Linux program")
def test_convert_says_that_there_is_no_python(core: Any, shim: Path | None, tmp_path: Path) -> None:
    library = shim or PACKAGE / "plugins" / "dslnet.so"
    host = tmp_path / "host"
    source = Path(__file__).with_name("no_python_host.c")
    runtime = PACKAGE / "libvapoursynth.so.4"
    subprocess.run(
        ["cc", "-std=c11", f"-I{PACKAGE / 'include'}", source, runtime, f"-Wl,-rpath,{PACKAGE}", "-o", host],
        check=True,
    )
    result = subprocess.run([host, library], capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("dslnet.Convert: there is no Python in this process")
    assert "use vspipe, vsscript or a Python program" in result.stdout

"""The shim of each platform that wheels are built for, and the wheels."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
build_wheels = pytest.importorskip("build_wheels", reason="pip install lief ziglang")

from build_wheels import TARGETS, Target, build_shim, compile_for, library_faults, shim_sources  # noqa: E402
from wheel.wheelfile import WheelFile  # noqa: E402

pytestmark = pytest.mark.slow  # the first build for each system makes parts of its C runtime

WINDOWS = TARGETS[0]

# Functions of CPython that the shim looks up, and the version since which they are of the stable ABI ("Contents of
# Limited API" in the C API's manual): python3.dll exports those and no others.
STABLE_SINCE = {
    "PyErr_Fetch": (3, 2),
    "PyGILState_Ensure": (3, 2),
    "PyGILState_Release": (3, 2),
    "PyImport_ImportModule": (3, 2),
    "PyObject_CallMethod": (3, 2),
    "PyObject_Str": (3, 2),
    "PyUnicode_AsUTF8AndSize": (3, 10),
    "Py_DecRef": (3, 2),
    "Py_IsInitialized": (3, 2),
}


@pytest.mark.parametrize("target", TARGETS[1:], ids=lambda target: target.wheel)
def test_the_shim_exports_its_entry_alone_and_links_the_system_alone(target: Target, tmp_path: Path) -> None:
    assert library_faults(build_shim(target, tmp_path)) == []


def test_so_does_windows_without_the_runtime_that_zig_would_compile_first(tmp_path: Path) -> None:
    """Zig has the C runtime of Windows as hundreds of C files; what they add is three symbols, made up here.

    All others are found in the system's libraries, as ``scripts/build_wheels.py`` finds them, which makes the real one.
    """
    sources = [*shim_sources(), Path(__file__).with_name("windows_runtime.c")]
    objects = [tmp_path / f"{source.stem}.obj" for source in sources]
    for source, compiled in zip(sources, objects, strict=True):
        compile_for(WINDOWS.zig, [source], compiled, "-c", "-fvisibility=hidden")
    library = tmp_path / "dslnet.dll"
    systems = [f"-lapi-ms-win-crt-{part}-l1-1-0" for part in ("heap", "math", "private", "string")]
    compile_for(WINDOWS.zig, objects, library, "-shared", "-nostdlib", "-lkernel32", *systems)
    assert library_faults(library) == []


def test_a_library_that_is_not_as_it_should_be_is_told(tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text(
        "#include <pthread.h>\n#include <stddef.h>\n"
        "int other(void) { return pthread_clockjoin_np(pthread_self(), NULL, 0, NULL); }\n"
    )
    library = tmp_path / "libother.so"
    compile_for("x86_64-linux-gnu.2.34", [source], library, "-shared", "-fPIC", "-D_GNU_SOURCE")
    assert library_faults(library) == [
        "needs glibc 2.34",
        "exports ['other'], not VapourSynthPluginInit2 alone",
    ]
    entry = tmp_path / "entry.c"
    entry.write_text("int other(void);\nint VapourSynthPluginInit2(void) { return other(); }\n")
    linking = tmp_path / "linking.so"
    compile_for("x86_64-linux-gnu.2.17", [entry], linking, "-shared", "-fPIC", f"-L{tmp_path}", "-lother")
    assert library_faults(linking) == ["links libother.so"]


def test_the_functions_of_python_are_of_the_stable_abi() -> None:
    source = (ROOT / "vsdslnet" / "native" / "dslnet.c").read_text()
    assert sorted(re.findall(r'\{"(Py\w+)", &py->', source)) == sorted(STABLE_SINCE)
    assert max(STABLE_SINCE.values()) <= (3, 12)


def test_wheels_hold_the_library_of_their_platform(tmp_path: Path) -> None:
    targets = (TARGETS[1], TARGETS[-1])  # not Windows, whose C runtime takes two minutes of one core at first
    wheels = build_wheels.build_wheels(tmp_path / "dist", targets)
    for wheel, target in zip(wheels, targets, strict=True):
        assert wheel.name.endswith(f"-py3-none-{target.wheel}.whl")
        with WheelFile(wheel) as archive:
            for name in archive.namelist():
                archive.read(name)  # checks its hash against RECORD
            plugins = [name for name in archive.namelist() if "plugins" in name]
            assert plugins == [f"vapoursynth/plugins/dslnet{target.suffix}"]
            assert "vsdslnet/models/dslnet.safetensors" in archive.namelist()
            about = message_from_string(archive.read(f"{archive.dist_info_path}/WHEEL").decode())
            assert about.get_all("Tag") == [f"py3-none-{target.wheel}"]
            assert about["Root-Is-Purelib"] == "false"


@pytest.mark.skipif(
    not shutil.which("wine") or "VSDSLNET_WINDOWS_VAPOURSYNTH" not in os.environ,
    reason="needs wine, and VSDSLNET_WINDOWS_VAPOURSYNTH: the vapoursynth folder of VapourSynth's wheel for Windows",
)
def test_under_windows_a_host_without_python_is_told_so(tmp_path: Path) -> None:
    """``pip download vapoursynth --no-deps --platform win_amd64 --only-binary :all:`` and ``wheel unpack`` give it."""
    host = tmp_path / "vapoursynth"
    shutil.copytree(os.environ["VSDSLNET_WINDOWS_VAPOURSYNTH"], host)
    library = build_shim(WINDOWS, host)
    compile_for(WINDOWS.zig, [Path(__file__).with_name("no_python_host.c")], host / "host.exe")
    quiet = {"WINEPREFIX": str(tmp_path / "wine"), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml="}
    windows_path = "Z:" + str(library).replace("/", "\\")
    told = subprocess.run(
        ["wine", "host.exe", windows_path],
        cwd=host,
        env=os.environ | quiet,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.startswith("dslnet.Convert: there is no Python in this process")

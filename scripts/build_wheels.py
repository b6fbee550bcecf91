#!/usr/bin/env python
"""Build the wheels of all five platforms on one Linux machine: ``python scripts/build_wheels.py --dist dist``.

Everything but the shim is the same in each of them. So one wheel is built in the ordinary way, from an sdist; then the
shim in it is changed for one that Zig's C compiler made for the platform. Needs ``pip install -e '.[dev]'``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import lief

lief.logging.disable()  # it finds fault with every dylib of Zig's, and reads it

ROOT = Path(__file__).resolve().parent.parent
ENTRY = "VapourSynthPluginInit2"
NEWEST_GLIBC = (2, 17)  # manylinux_2_17
LINKERS_OWN = {"__mh_dylib_header", "___dso_handle"}  # of every dylib; no names that another library could want
SYSTEMS_OWN = {  # by suffix: the libraries that every system has
    ".dll": r"(?i)kernel32\.dll|api-ms-win-crt-.*\.dll",
    ".dylib": r"/usr/lib/libSystem\.B\.dylib",
    ".so": r"(libc|libm|libdl|ld-linux-.*)\.so\.\d+",
}
WARNINGS = ("-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A platform: what Zig calls it, what wheels call it, and what its shared libraries are called."""

    zig: str
    wheel: str
    suffix: str


TARGETS = (
    Target(zig="x86_64-windows-gnu", wheel="win_amd64", suffix=".dll"),
    Target(zig="aarch64-macos.11.0", wheel="macosx_11_0_arm64", suffix=".dylib"),
    Target(zig="x86_64-macos.10.13", wheel="macosx_10_13_x86_64", suffix=".dylib"),
    Target(zig="x86_64-linux-gnu.2.17", wheel="manylinux_2_17_x86_64", suffix=".so"),
    Target(zig="aarch64-linux-gnu.2.17", wheel="manylinux_2_17_aarch64", suffix=".so"),
)


def shim_sources() -> list[Path]:
    return sorted((ROOT / "vsdslnet" / "native").glob("*.c"))


def compile_for(target: str, sources: Sequence[Path], output: Path, *flags: str) -> None:
    """C files for one of Zig's targets; CalledProcessError, its text on stderr, if it does not compile."""
    package = find_spec("vapoursynth")
    assert package is not None and package.origin is not None
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-std=c11", "-O3", "-s", *WARNINGS]
    command += ["-mcpu=x86_64_v2"] if target.startswith("x86_64") else []  # SSE4.1: loops over pixels pick by masks
    include = Path(package.origin).with_name("include")
    subprocess.run([*command, f"-I{include}", *map(str, sources), "-o", str(output), *flags], check=True)


def build_shim(target: Target, folder: Path) -> Path:
    """The plugin's library for a platform, in ``folder``, checked."""
    library = folder / f"dslnet{target.suffix}"
    flags = ["-shared", "-fvisibility=hidden", *(["-fPIC"] if target.suffix != ".dll" else [])]
    libraries = [] if target.suffix == ".dll" else ["-lm"]
    compile_for(target.zig, shim_sources(), library, *flags, *libraries)
    faults = library_faults(library)
    if faults:
        raise SystemExit(f"{target.wheel}: {'; '.join(faults)}")
    return library


def library_faults(library: Path) -> list[str]:
    """What is wrong with a plugin's library: what else it exports or links, a glibc that is too new."""
    binary = lief.parse(str(library))
    if binary is None:
        return ["is no library"]
    faults = []
    if isinstance(binary, lief.ELF.Binary):
        exported = {str(symbol.name) for symbol in binary.dynamic_symbols if symbol.exported}
        newer = [version for version in _glibc_versions(binary) if version > NEWEST_GLIBC]
        faults += [f"needs glibc {'.'.join(map(str, version))}" for version in newer]
    elif isinstance(binary, lief.MachO.Binary):
        exported = {str(symbol.name) for symbol in binary.symbols if symbol.has_export_info} - LINKERS_OWN
        exported = {name.removeprefix("_") for name in exported}
    else:
        exported = {str(function.name) for function in binary.exported_functions}
    if exported != {ENTRY}:
        faults.append(f"exports {sorted(exported)}, not {ENTRY} alone")
    linked = linked_libraries(library)
    faults += [f"links {name}" for name in linked if not re.fullmatch(SYSTEMS_OWN[library.suffix], name)]
    return faults if linked else [*faults, "links nothing"]


def linked_libraries(library: Path) -> list[str]:
    """Names of the libraries that it is linked with."""
    binary = lief.parse(str(library))
    assert binary is not None
    if isinstance(binary, lief.MachO.Binary):  # its own name is the first
        return [str(linked.name) for linked in binary.libraries][1:]
    return [str(linked if isinstance(linked, str) else linked.name) for linked in binary.libraries]


def _glibc_versions(binary: lief.ELF.Binary) -> list[tuple[int, ...]]:
    needed = (
        str(version.name) for file in binary.symbols_version_requirement for version in file.get_auxiliary_symbols()
    )
    return [
        tuple(int(part) for part in name.removeprefix("GLIBC_").split("."))
        for name in needed
        if name.startswith("GLIBC_")
    ]


def build_wheels(dist: Path, targets: tuple[Target, ...] = TARGETS) -> list[Path]:
    """A wheel for each target, in ``dist``, which is made where there is none."""
    dist.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vsdslnet-wheels-") as scratch:
        folder = Path(scratch)
        _run("build", "--no-isolation", "--outdir", str(folder), str(ROOT))
        (base,) = folder.glob("*.whl")
        return [_with_shim(base, target, folder / target.wheel, dist) for target in targets]


def _with_shim(base: Path, target: Target, folder: Path, dist: Path) -> Path:
    _run("wheel", "unpack", "--dest", str(folder), str(base))
    (content,) = folder.iterdir()
    plugins = content / "vapoursynth" / "plugins"
    for library in plugins.iterdir():
        library.unlink()
    build_shim(target, folder).rename(plugins / f"dslnet{target.suffix}")
    for left in folder.glob("dslnet*"):  # an import library and debug data, of Windows
        left.unlink()
    (description,) = content.glob("*.dist-info/WHEEL")
    lines = [line for line in description.read_text().splitlines() if line and not line.startswith("Tag:")]
    description.write_text("\n".join([*lines, f"Tag: py3-none-{target.wheel}", ""]))
    _run("wheel", "pack", "--dest-dir", str(dist), str(content))
    (wheel,) = dist.glob(f"vsdslnet-*-py3-none-{target.wheel}.whl")
    return wheel


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=Path("dist"), help="folder for the wheels (%(default)s)")
    parser.add_argument("--only", choices=[target.wheel for target in TARGETS], action="append", help="these platforms")
    arguments = parser.parse_args()
    targets = tuple(target for target in TARGETS if not arguments.only or target.wheel in arguments.only)
    for wheel in build_wheels(arguments.dist, targets):
        print(f"{wheel}: {wheel.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

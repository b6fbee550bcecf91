"""Build the VapourSynth shim and put the models inside the package; the rest is in pyproject.toml."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py


def vapoursynth_headers() -> str:
    """The header folder of the installed vapoursynth, found without importing it."""
    spec = find_spec("vapoursynth")
    for folder in (spec and spec.submodule_search_locations) or ():
        include = Path(folder, "include")
        if include.joinpath("VapourSynth4.h").is_file():
            return str(include)
    raise SystemExit("VapourSynth4.h not found: building vsdslnet needs the vapoursynth package, 78 or newer")


class BuildShim(build_ext):
    """A VapourSynth plugin is a plain shared library: no Python in its name, its exports or its links."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.include_dirs = [vapoursynth_headers()]

    def run(self) -> None:
        if self.editable_mode:
            # The in-place default would leave the library in the checkout; VapourSynth only loads what lies in
            # its own plugins folder, so the library goes into the editable wheel.
            self.inplace = False
            self.build_lib = self.get_finalized_command("install").install_lib
        super().run()

    def get_ext_filename(self, fullname: str) -> str:
        suffix = ".dll" if sys.platform == "win32" else ".dylib" if sys.platform == "darwin" else ".so"
        return str(Path(*fullname.split("."))) + suffix

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return list(ext.export_symbols)

    def get_libraries(self, ext: Extension) -> list[str]:
        return list(ext.libraries)


class BuildPackage(build_py):
    """The repository keeps the weights in models/, an installed package in vsdslnet/models/."""

    def _models(self) -> dict[str, str]:
        target = Path(self.build_lib, "vsdslnet", "models")
        sources = sorted(p for p in Path("models").rglob("*") if p.suffix in {".safetensors", ".md"})
        return {str(target / source.relative_to("models")): str(source) for source in sources}

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # vsdslnet.weights then finds models/ beside the package
        for target, source in self._models().items():
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs = list(super().get_outputs(include_bytecode))
        return outputs if self.editable_mode else outputs + list(self._models())


class AnyPythonWheel(bdist_wheel):
    """One binary serves every Python 3: only the platform matters."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[
        Extension(
            "vapoursynth.plugins.dslnet",
            sorted(map(str, Path("vsdslnet/native").glob("*.c"))),
            depends=sorted(map(str, Path("vsdslnet/native").glob("*.h"))),
            export_symbols=["VapourSynthPluginInit2"],
            libraries=["dl", "m"] if sys.platform == "linux" else [],
            extra_compile_args=[] if sys.platform == "win32" else ["-std=c11", "-O3", "-fvisibility=hidden"],
        )
    ],
    cmdclass={"build_ext": BuildShim, "build_py": BuildPackage, "bdist_wheel": AnyPythonWheel},
)

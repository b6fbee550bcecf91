"""pip install ., pip install -e . and sdist -> wheel put core.dslnet and the models where they are found."""

from __future__ import annotations

import shutil
import site
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from plugin_tests.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")]

CHECK = """
import vapoursynth as vs
clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=64, height=64, length=1)
print(vs.core.dslnet.Convert(clip).format.name)
import vsdslnet, vsdslnet.weights
print(vsdslnet.__file__)
print(vsdslnet.weights.find("dslnet"))
"""


class Venv:
    """A bare environment: only vapoursynth's wheel is its own, other packages come from this one's."""

    def __init__(self, path: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
        self.python = path / "bin" / "python"
        self.site = Path(
            subprocess.check_output(
                [self.python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"], text=True
            ).strip()
        )
        here = Path(sysconfig.get_path("platlib"))
        for source in [*here.glob("vapoursynth"), *here.glob("[vV]apour[sS]ynth-*.dist-info")]:
            shutil.copytree(source, self.site / source.name)
        for plugin in (self.site / "vapoursynth" / "plugins").glob("dslnet*"):
            plugin.unlink()
        (self.site / "others.pth").write_text("\n".join([str(here), *site.getsitepackages()]))

    def pip(self, *arguments: str | Path) -> None:
        # The environment of the tests shines through, and may have this very version installed already.
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed"]
        subprocess.run([self.python, "-m", "pip", "install", *options, *arguments], check=True, cwd="/")

    def check(self, tmp_path: Path) -> list[str]:
        result = subprocess.run(
            [self.python, "-c", CHECK], cwd=tmp_path, capture_output=True, text=True, env={"PATH": ""}, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.split()


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    return Venv(tmp_path / "venv")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what git would give, so that no build output lands in this checkout."""
    target = tmp_path / "checkout"
    skip = shutil.ignore_patterns(
        ".git", "build", "dist", "*.egg-info", "__pycache__", "runs", "out", ".*_cache", ".venv"
    )
    shutil.copytree(ROOT, target, ignore=skip)
    return target


def test_pip_install(venv: Venv, checkout: Path, tmp_path: Path) -> None:
    venv.pip(checkout)
    name, package, model = venv.check(tmp_path)
    assert name == "YUV420P16"
    assert Path(package).is_relative_to(venv.site)
    assert Path(model) == venv.site / "vsdslnet" / "models" / "dslnet.safetensors"
    assert (venv.site / "vsdslnet" / "py.typed").is_file()


def test_editable_install(venv: Venv, checkout: Path, tmp_path: Path) -> None:
    venv.pip("-e", checkout)
    name, package, model = venv.check(tmp_path)
    assert name == "YUV420P16"
    assert Path(package) == checkout / "vsdslnet" / "__init__.py"
    assert Path(model) == checkout / "models" / "dslnet.safetensors"
    assert (venv.site / "vapoursynth" / "plugins" / "dslnet.so").is_file()
    assert not list(checkout.rglob("*.so")), "the library belongs into the plugins folder only"


def test_sdist_then_wheel(venv: Venv, checkout: Path, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    build = [venv.python, "-c", "import sys, setuptools.build_meta as b; getattr(b, sys.argv[1])(sys.argv[2])"]
    subprocess.run([*build, "build_sdist", dist], check=True, cwd=checkout, stdout=subprocess.DEVNULL)
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert (source / "models" / "dslnet.safetensors").is_file()
    subprocess.run([*build, "build_wheel", dist], check=True, cwd=source, stdout=subprocess.DEVNULL)
    (wheel,) = dist.glob("*.whl")
    assert "-py3-none-" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert "vapoursynth/plugins/dslnet.so" in names
    assert "vsdslnet/models/dslnet.safetensors" in names
    assert "vsdslnet/models/looks/film.safetensors" in names
    assert not [name for name in names if name.startswith(("plugin_tests", "scripts", "models/"))]
    recipes = {str(path.relative_to(checkout)) for path in (checkout / "vsdslnet").rglob("*.toml")}
    assert len(recipes) > 5
    assert recipes <= set(names)
    venv.pip(wheel)
    assert venv.check(tmp_path)[0] == "YUV420P16"

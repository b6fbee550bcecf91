"""The library's door: every public name has an example that is true, and the door opens without torch."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vsdslnet
from plugin_tests.encode.media import make_clip
from plugin_tests.paths import ROOT

WITH_EXAMPLES = sorted(set(vsdslnet.__all__) - {"__version__"})
ERRORS_WITHOUT = {"BackendError", "ClipError", "ExecutorError", "JobError", "MediaError", "OutputError", "WeightsError"}
"""They are raised, never made, by users; ArgumentError's and DslnetError's examples show how."""


@pytest.mark.parametrize("name", [name for name in WITH_EXAMPLES if name not in ERRORS_WITHOUT])
def test_a_public_name_has_an_example_that_is_true(name: str, tmp_path: Path, plugin_in_children: None) -> None:
    found = doctest.DocTestFinder(recurse=False).find(getattr(vsdslnet, name), name, globs=None)
    examples = [test for test in found if test.examples]
    assert examples, f"{name} has no example"
    if name == "encode_file":
        clip = make_clip(tmp_path / "clip.mkv", frames=8, audio=False)
        examples[0].globs |= {"source": clip, "output": tmp_path / "clip.hdr.mkv"}
    told: list[str] = []
    for test in examples:
        doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert not told, "".join(told)


def test_all_public_names_are_there_and_no_other_is() -> None:
    assert set(vsdslnet.__all__) <= set(dir(vsdslnet))
    for name in vsdslnet.__all__:
        assert getattr(vsdslnet, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'load_modle'"):
        vsdslnet.load_modle  # noqa: B018


def test_the_door_opens_without_torch_and_vapoursynth(script_env: dict[str, str]) -> None:
    source = "import sys, vsdslnet; vsdslnet.ConvertOptions(); print({'torch', 'vapoursynth'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", source], env=script_env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_readmes_example_runs(tmp_path: Path, plugin_in_children: None, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(import torch\n.*?)```", readme, re.DOTALL)
    make_clip(tmp_path / "film.mkv", frames=8, audio=False)
    monkeypatch.chdir(tmp_path)
    exec(code.replace('preset="draft"', 'preset="draft", model="dslnet-lut"'), {})  # the network takes minutes
    assert (tmp_path / "film.hdr10.mkv").is_file()

"""Which files a script is known to read, and what counts as a change of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vsdslnet.encode.source.script import ScriptCall
from vsdslnet.encode.source.script_files import named_files, plugin_versions, script_identity, script_otherwise


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """One that reads a film beside it, a list by a module's module, and a file of its caller's."""
    folder, caller = tmp_path / "scripts", tmp_path / "caller"
    folder.mkdir()
    caller.mkdir()
    (folder / "film.vpy").write_text(
        'import helper\nfrom vapoursynth import core\nclip = core.bs.VideoSource("film.mkv")\n'
        "clip = core.bs.VideoSource(source)\nclip.std.Trim(1).set_output()\nindex = 'film.index'\n"
    )
    (folder / "helper.py").write_text("from package import frames\n")
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("frames = open('frames.txt').read()\n")
    for name in ("film.mkv", "frames.txt", "unnamed.txt"):
        (folder / name).write_text(name)
    (caller / "other.mkv").write_text("other")
    return folder / "film.vpy"


@pytest.fixture
def call(script: Path) -> ScriptCall:
    return ScriptCall(arguments={"source": "other.mkv"}, called_from=str(script.parent.parent / "caller"))


def test_names_in_texts_arguments_and_modules(script: Path, call: ScriptCall) -> None:
    found = {path.relative_to(script.parent.parent).as_posix() for _, _, path in named_files(script, call)}
    scripts = {f"scripts/{name}" for name in ("film.mkv", "frames.txt", "helper.py", "package/__init__.py")}
    assert found == {"caller/other.mkv", *scripts}


def test_plugins_that_are_called_by_name(script: Path) -> None:
    assert plugin_versions(script).startswith("VapourSynth ")
    assert ", bs " in plugin_versions(script)
    assert "scd" not in plugin_versions(script)


@pytest.mark.parametrize(
    "changed", ["scripts/film.mkv", "scripts/frames.txt", "scripts/package/__init__.py", "caller/other.mkv"]
)
def test_a_file_that_changes_or_goes_is_named(changed: str, script: Path, call: ScriptCall, tmp_path: Path) -> None:
    begun = script_identity(script, call)
    assert script_otherwise(begun, script, call) is None
    (tmp_path / changed).write_text("something else")
    assert f"{Path(changed).name}, which the script names, has changed" in str(script_otherwise(begun, script, call))
    (tmp_path / changed).unlink()
    assert f"{Path(changed).name}, which the script names, has changed" in str(script_otherwise(begun, script, call))


def test_what_appears_later_or_is_not_named_is_no_change(script: Path, call: ScriptCall) -> None:
    begun = script_identity(script, call)
    script.with_name("film.index").write_text("an index, written by a source filter")
    script.with_name("unnamed.txt").write_text("something else")
    assert script_otherwise(begun, script, call) is None


def test_all_of_it_may_move(script: Path, call: ScriptCall, tmp_path: Path) -> None:
    absolute = ScriptCall(arguments={"source": str(tmp_path / "caller" / "other.mkv")}, called_from=str(tmp_path))
    begun = script_identity(script, absolute)
    shutil.move(tmp_path / "scripts", tmp_path / "new")
    shutil.move(tmp_path / "caller" / "other.mkv", tmp_path / "new" / "renamed.mkv")
    moved = ScriptCall(arguments={"source": str(tmp_path / "new" / "renamed.mkv")}, called_from="/")
    assert script_otherwise(begun, tmp_path / "new" / "film.vpy", moved) is None
    (tmp_path / "new" / "renamed.mkv").write_text("else!")
    told = script_otherwise(begun, tmp_path / "new" / "film.vpy", moved)
    assert told is not None
    assert told.startswith("script-arg source ")


def test_other_arguments_are_a_change(script: Path, call: ScriptCall) -> None:
    begun = script_identity(script, call)
    more = ScriptCall(arguments={**call.arguments, "strength": "2"}, called_from=call.called_from)
    assert script_otherwise(begun, script, more) == "script-arg strength None -> '2'"

"""A VapourSynth script's output 0, evaluated as ``vspipe`` does, and its errors in the script's own lines."""

from __future__ import annotations

import itertools
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import vapoursynth as vs

from vsdslnet.errors import ArgumentError, ClipError, MediaError, is_utf8, one_line
from vsdslnet.plugin.formats import check_input

__all__ = ["Output", "ScriptCall", "check_arguments", "evaluate", "forget_output", "frame_error"]

_TRACEBACK = "Traceback (most recent call last)"
_TRACEBACK_LINE = re.compile(r'File "([^"]+)", line (\d+)')


class ScriptCall(msgspec.Struct, frozen=True, kw_only=True):
    """How a script is evaluated.

    ``arguments``    variables that it finds set, each a text.
    ``called_from``  the folder it was called from, which it finds in the environment as ``PWD``; while it is
                     evaluated the working folder is the script's own, as under ``vspipe``.
    """

    arguments: dict[str, str] = {}
    called_from: str = ""


class Output(NamedTuple):
    """A script's picture, and whether transparency comes with it."""

    clip: vs.VideoNode
    has_alpha: bool


def check_arguments(arguments: Mapping[str, str]) -> None:
    """ArgumentError for what no variable of a script can be called."""
    for name, value in arguments.items():
        if not name.isidentifier() or name.startswith("__"):
            raise ArgumentError("script-arg", name, "name=value, the name being that of a variable in the script")
        if not is_utf8(value):
            raise ArgumentError("script-arg", f"{name}={value}", "UTF-8")


_kept: dict[tuple[str, bytes], Output] = {}


def forget_output() -> None:
    """Let go of what an evaluation has kept, and of the frames that VapourSynth has cached for it."""
    _kept.clear()


def evaluate(path: Path, call: ScriptCall, *, keep: bool = False) -> Output:
    """Run a script and take its output 0; outputs that were set before stay as they were.

    With ``keep`` the next evaluation of this script gets the same output: one that loads a plugin (std.LoadPlugin)
    can't be run twice in a process. MediaError, with the script's line, if it fails or gives no picture that can be
    converted.
    """
    key = str(path.resolve()), msgspec.json.encode(call, order="deterministic")
    kept = _kept.pop(key, None)
    if kept is not None and not keep:
        return kept
    output = _evaluated(path, call)
    if keep:
        _kept[key] = output
    return output


def _evaluated(path: Path, call: ScriptCall) -> Output:
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except OSError as error:
        raise MediaError(f"{path}: can't be read ({error.strerror}); check its permissions") from None
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        raise MediaError(f"{path}: {where}{error.msg}{_quoted(error.text)}") from None
    except ValueError as error:
        raise MediaError(f"{path}: is no script in Python ({one_line(error)})") from None
    variables = {"__name__": "__vapoursynth__", "__file__": str(path.absolute()), **call.arguments}
    with _own_outputs() as outputs, _as_called(path, call):
        try:
            exec(code, variables)
        except (Exception, SystemExit) as error:
            raise MediaError(f"{path}: {_told(error, path)}") from None
        return _output(path, outputs())


def frame_error(error: vs.Error) -> str:
    """What a frame's error says in one line; of a traceback, which scripts' own filters give, its end and line."""
    text = str(error)
    if _TRACEBACK not in text:
        return one_line(text)
    found = list(_TRACEBACK_LINE.finditer(text))
    behind = text[found[-1].end() :].splitlines()[1:] if found else text.strip().splitlines()[-1:]
    # Behind the last place its code, indented; then what was raised, of any number of lines.
    said = one_line("\n".join(itertools.dropwhile(lambda line: line.startswith(" "), behind)))
    places = [(place[1], place[2]) for place in found if not place[1].endswith(".pyx")]
    return f"{Path(places[-1][0]).name}, line {places[-1][1]}: {said}" if places else said


@contextmanager
def _own_outputs() -> Iterator[Any]:
    """None set at first; what was set before is set again afterwards."""
    before = dict(vs.get_outputs())
    vs.clear_outputs()
    try:
        yield vs.get_outputs
    finally:
        vs.clear_outputs()
        for index, output in before.items():
            if isinstance(output, vs.VideoOutputTuple):
                output.clip.set_output(index, output.alpha, output.alt_output)
            else:
                output.set_output(index)


@contextmanager
def _as_called(path: Path, call: ScriptCall) -> Iterator[None]:
    """The script's folder as the working one, its caller's in PWD, and what it prints on the error stream.

    Modules that it brings from its own folder are forgotten: another folder's may have the same names.
    """
    folder, before = path.absolute().parent, Path.cwd()
    pwd, arguments, search, modules = os.environ.get("PWD"), sys.argv, list(sys.path), set(sys.modules)
    os.chdir(folder)
    if call.called_from:
        os.environ["PWD"] = call.called_from
    sys.argv = [""]
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        for name in set(sys.modules) - modules:
            origin = getattr(sys.modules[name], "__file__", None)
            if origin and Path(origin).absolute().is_relative_to(folder):
                del sys.modules[name]
        for place in [place for place in sys.path_importer_cache if not Path(place).is_absolute()]:
            del sys.path_importer_cache[place]  # which remembers the folder that it was relative to
        os.chdir(before)
        os.environ.pop("PWD", None)
        if pwd is not None:
            os.environ["PWD"] = pwd
        sys.argv, sys.path[:] = arguments, search


def _output(path: Path, outputs: Mapping[int, Any]) -> Output:
    if 0 not in outputs:
        raise MediaError(f"{path}: sets no output 0; end it with clip.set_output()")
    output = outputs[0]
    if not isinstance(output, vs.VideoOutputTuple):
        raise MediaError(f"{path}: output 0 is sound; set the picture as output 0, and name the sound with --tracks")
    try:
        check_input(output.clip)
    except ClipError as error:
        raise MediaError(f"{path}: {error}") from None
    return Output(output.clip, output.alpha is not None)


def _told(error: BaseException, path: Path) -> str:
    """The innermost line of the script itself, and what went wrong there."""
    lines = [entry for entry in traceback.extract_tb(error.__traceback__) if entry.filename == str(path)]
    where = f"line {lines[-1].lineno}: " if lines else ""
    if isinstance(error, SystemExit):
        return f"{where}ends itself ({one_line(error) or 'no reason given'}) before its output can be taken"
    if isinstance(error, SyntaxError):  # in a module that it imports
        return f"{where}{error.filename}, line {error.lineno}: {error.msg}"
    kind = "" if isinstance(error, vs.Error) else f"{type(error).__name__}: "
    return f"{where}{kind}{one_line(error)}{_quoted(lines[-1].line if lines else None)}"


def _quoted(line: str | None) -> str:
    return f" [{one_line(line)[:120]}]" if line and line.strip() else ""

"""What a script is made of, so that a job knows whether it is still the same: its text, and files that its text names.

Known: texts in the script and its arguments that are names of files; Python modules in the script's folder that it
imports, and what they name; versions of VapourSynth's plugins that it calls by name. Not known: files whose names are
put together at run time, numbered pictures, files that a plugin finds by itself, and installed Python packages.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec
import vapoursynth as vs

from vsdslnet.encode.source.probe import SourceIdentity, identify
from vsdslnet.encode.source.script import ScriptCall

__all__ = ["NamedFile", "ScriptIdentity", "named_files", "plugin_versions", "script_identity", "script_otherwise"]

_MOST_CHARACTERS = 1000  # of a file's name
_OF_THE_CORE = frozenset({"std", "resize", "text"})


class NamedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a script names: ``name`` as it is written, from the script's folder or its caller's."""

    name: str
    from_script: bool
    identity: SourceIdentity

    def lies_at(self, script: Path, call: ScriptCall) -> Path:
        """Where it is for a script called so."""
        return _place(self.name, from_script=self.from_script, script=script, call=call)


class ScriptIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a script's picture depends on beside its own text, as far as that is known."""

    arguments: dict[str, str]
    files: list[NamedFile]
    plugins: str


def script_identity(script: Path, call: ScriptCall) -> ScriptIdentity:
    """The identity of a script that can be evaluated; reads all files that it names."""
    files = [
        NamedFile(name=name, from_script=from_script, identity=identify(path))
        for name, from_script, path in named_files(script, call)
    ]
    return ScriptIdentity(arguments=call.arguments, files=files, plugins=plugin_versions(script))


def script_otherwise(begun: ScriptIdentity, script: Path, call: ScriptCall) -> str | None:
    """What a script called so would do otherwise, in words; None: nothing that is known.

    An argument that names the same file elsewhere is no difference.
    """
    moved: dict[str, str] = {}
    for name in sorted(begun.arguments.keys() | call.arguments.keys()):
        before, now = begun.arguments.get(name), call.arguments.get(name)
        if before == now:
            continue
        if before is None or now is None or not _same_file(begun, before, now, script, call):
            return f"script-arg {name} {before!r} -> {now!r}"
        moved[before] = now
    for file in begun.files:
        here = msgspec.structs.replace(file, name=moved.get(file.name, file.name)).lies_at(script, call)
        if not here.is_file() or not file.identity.is_of(here):
            return f"{here}, which the script names, has changed"
    plugins = plugin_versions(script)
    return None if plugins == begun.plugins else f"plugins have changed ({begun.plugins} -> {plugins})"


def named_files(script: Path, call: ScriptCall) -> list[tuple[str, bool, Path]]:
    """(name, whether it is from the script's folder, file) of every file that a script's text or arguments name."""
    found: dict[Path, tuple[str, bool, Path]] = {}
    modules = list(_modules(script))
    texts = [*call.arguments.values()]
    for module in (script, *modules):
        constants = (node.value for node in ast.walk(_tree(module)) if isinstance(node, ast.Constant))
        texts += [text for text in constants if isinstance(text, str) and _may_be_name(text)]
    names = [module.relative_to(script.absolute().parent).as_posix() for module in modules]
    for name in [*names, *texts]:
        for from_script in (True, False):
            path = _place(name, from_script=from_script, script=script, call=call)
            if _is_file(path) and path.absolute() != script.absolute():
                found.setdefault(path.absolute(), (name, from_script, path))
    return list(found.values())


def plugin_versions(script: Path) -> str:
    """VapourSynth's, and those of its plugins that a script or its modules call by name."""
    called = {
        node.attr
        for module in (script, *_modules(script))
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Attribute)
    }
    used = sorted(
        f"{plugin.namespace} {plugin.version.major}.{plugin.version.minor}"
        for plugin in vs.core.plugins()
        if plugin.namespace in called - _OF_THE_CORE
    )
    return ", ".join([f"VapourSynth {vs.__version__.release_major}", *used])


def _same_file(begun: ScriptIdentity, before: str, now: str, script: Path, call: ScriptCall) -> bool:
    for file in begun.files:
        if file.name == before:
            here = _place(now, from_script=file.from_script, script=script, call=call)
            return here.is_file() and file.identity.is_of(here)
    return False


def _modules(script: Path) -> Iterator[Path]:
    """Python files beside the script that it imports, and that those import."""
    folder, seen, waiting = script.absolute().parent, {script.absolute()}, [script.absolute()]
    while waiting:
        for node in ast.walk(_tree(waiting.pop())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                place = folder.joinpath(*name.split("."))
                for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
                    if path.is_file() and path not in seen:
                        seen.add(path)
                        waiting.append(path)
                        yield path


def _tree(path: Path) -> ast.AST:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def _may_be_name(text: str) -> bool:
    return 0 < len(text) <= _MOST_CHARACTERS and text.isprintable()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or no name at all
        return False


def _place(name: str, *, from_script: bool, script: Path, call: ScriptCall) -> Path:
    return (script.absolute().parent if from_script else Path(call.called_from)) / name

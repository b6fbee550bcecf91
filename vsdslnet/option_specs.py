"""What an option is: a field with type, default, meaning, unit and bounds, and the checks that follow from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from inspect import get_annotations
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, NamedTuple, Self, Union, cast, get_args, get_origin, get_type_hints

from vsdslnet.errors import ArgumentError

__all__ = ["Options", "Spec", "another_default", "option", "specs"]


class _Note(NamedTuple):
    """What :func:`option` says of a field."""

    help: str
    name: str
    unit: str
    low: float | None
    high: float | None
    otherwise: str
    cure: str
    flag: str


def option(
    default: Any,
    help: str,
    *,
    name: str = "",
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    otherwise: str = "",
    cure: str = "",
    flag: str = "",
) -> Any:
    """A field of an :class:`Options`.

    ``help``       what it means, in sentences that stand alone.
    ``name``       what users call it, if that is not the field's name (which has the unit in it).
    ``low, high``  bounds of a number, inclusive, in ``unit``; of a pair the lower bound of both.
    ``otherwise``  what a default of None means: "by default ...".
    ``cure``       the last part of the error about a wrong value.
    ``flag``       a short name on the command line.
    """
    metadata = {"option": _Note(help, name, unit, low, high, otherwise, cure, flag)}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def another_default(kind: type[Options], name: str, default: object, *, more: str = "") -> Any:
    """The option of another class with a default of its own, and ``more`` to say of it."""
    [note] = [f.metadata["option"] for f in fields(kind) if f.name == name]
    return field(default=default, metadata={"option": note._replace(help=f"{note.help} {more}".strip())})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all sets of options; making one with a wrong value raises ArgumentError."""

    GROUP: ClassVar[str] = ""
    """Under which heading ``--help`` shows them."""

    def __post_init__(self) -> None:
        for spec in specs(type(self)):
            spec.check(getattr(self, spec.field))

    def part[T: Options](self, kind: type[T]) -> T:
        """The options of ``kind`` out of these."""
        return kind(**{f.name: getattr(self, f.name) for f in fields(kind)})

    def arguments(self) -> dict[str, Any]:
        """By the names users know, those that are not None; pairs as lists, as VapourSynth takes them."""
        named = {spec.name: getattr(self, spec.field) for spec in specs(type(self))}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in named.items() if v is not None}

    @classmethod
    def parse(cls, arguments: Mapping[str, object]) -> Self:
        """From the names users know and the values VapourSynth or a command line gives: lists for pairs, text."""
        by_name = {spec.name: spec for spec in specs(cls)}
        return cls(**{by_name[name].field: by_name[name].value_of(given) for name, given in arguments.items()})


_BEGINS_AS_NUMBER = re.compile(r"\s*[-+]?\.?\d")


def _named_values(text: str) -> dict[str, str]:
    """``name=value:name=value`` as x265 spells it; a bare name means 1.

    A part that begins as a number does (``deblock=-1:-1``) belongs to the value before it.
    """
    found: dict[str, str] = {}
    name = ""
    for part in text.split(":"):
        if name and _BEGINS_AS_NUMBER.match(part):
            found[name] += f",{part.strip()}"
        elif part.strip():
            given, _, value = part.partition("=")
            name = given.strip().removeprefix("--")
            found[name] = value.strip() or "1"
    return found


class Spec(NamedTuple):
    """One option as all of its readers need it."""

    name: str
    field: str
    kind: Any
    """The type, without None."""
    optional: bool
    default: Any
    group: str
    note: _Note

    @property
    def help(self) -> str:
        """What it means, with its bounds and what None means."""
        text = self.note.help
        if self.bounds:
            text += f" {self.bounds[0].upper()}{self.bounds[1:]}."
        if self.note.otherwise:
            text += f" By default {self.note.otherwise}."
        return text

    @property
    def choices(self) -> tuple[str, ...]:
        """The values it may have, if they are named."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def bounds(self) -> str:
        """``from 300 to 10000 nits``, or nothing."""
        note = self.note
        if note.low is None:
            return ""
        end = f"at least {note.low:g}" if note.high is None else f"from {note.low:g} to {note.high:g}"
        return f"{end} {note.unit}".strip()

    @property
    def allowed(self) -> str:
        """The third part of an error: what would have been right."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if get_origin(self.kind) is tuple:
            return f"[width, height], whole numbers of {self.bounds}"
        noun = {int: "a whole number", float: "a number", str: "text in UTF-8", bool: "true or false"}
        said = noun.get(self.kind, "name=value:name=value")
        return f"{said} {self.bounds}".strip()

    def check(self, value: object) -> None:
        """ArgumentError unless the option may have this value."""
        if (value is None and self.optional) or self._is_right(value):
            return
        default_cure = "leave it out to have the default" if self.optional else ""
        raise ArgumentError(self.name, value, self.allowed, self.note.cure or default_cure)

    def value_of(self, given: object) -> Any:
        """What a user's spelling stands for: a pair for a list, names and values for ``name=value:name=value``."""
        if get_origin(self.kind) is tuple and isinstance(given, list):
            return tuple(given)
        if get_origin(self.kind) is tuple and isinstance(given, int):
            return (given,)  # VapourSynth's spelling of a list of one
        if get_origin(self.kind) is dict and isinstance(given, str):
            return _named_values(given)
        if self.kind is bool and not isinstance(given, bool) and given in (0, 1):
            return bool(given)  # VapourSynth has no booleans
        return given

    def _is_right(self, value: Any) -> bool:
        if self.choices:
            return isinstance(value, str) and value in self.choices
        if get_origin(self.kind) is tuple:
            # A list would do as well, but options are keys: equal ones share a backend.
            return isinstance(value, tuple) and len(value) == 2 and all(map(self._is_whole, value))
        if get_origin(self.kind) is dict:
            return isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
        if self.kind is bool:
            return isinstance(value, bool)
        if self.kind is str:
            return isinstance(value, str) and value != ""
        if self.kind is int:
            return self._is_whole(value)
        return isinstance(value, int | float) and not isinstance(value, bool) and self._is_within(value)

    def _is_whole(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self._is_within(value)

    def _is_within(self, value: float) -> bool:
        low, high = self.note.low, self.note.high  # NaN fails every comparison
        return value == value and (low is None or value >= low) and (high is None or value <= high)


def specs(kind: type[Options]) -> tuple[Spec, ...]:
    """The options of a class, in the order in which users meet them."""
    return _specs(cast(Any, kind))  # mypy takes a class of objects with a hash for one without


@cache
def _specs(kind: Any) -> tuple[Spec, ...]:
    hints = get_type_hints(kind)
    found = []
    for f in fields(kind):
        note: _Note = f.metadata["option"]
        declared = hints[f.name]
        members = get_args(declared) if get_origin(declared) in (Union, UnionType) else (declared,)
        [value_kind] = [member for member in members if member is not NoneType]
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        owner = next(base for base in reversed(kind.__mro__) if f.name in get_annotations(base))
        found.append(Spec(note.name or f.name, f.name, value_kind, NoneType in members, default, owner.GROUP, note))
    return tuple(found)

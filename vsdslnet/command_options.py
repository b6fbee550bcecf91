"""Options on the command line: one parameter an option, its help and bounds as ``vsdslnet.options`` says them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_origin

from cyclopts import Group, Parameter

from vsdslnet.option_specs import Options, Spec, specs

__all__ = ["with_options"]


def with_options(**kinds: type[Options]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that takes sets of options as keyword arguments of these names, each spread into single options."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(function, eval_str=True).parameters.values() if p.name not in kinds]
        spread = [_parameter(spec) for kind in kinds.values() for spec in specs(kind)]

        @functools.wraps(function)
        def command(*args: Any, **given: Any) -> None:
            sets = {
                name: kind.parse({spec.name: given.pop(spec.name) for spec in specs(kind) if spec.name in given})
                for name, kind in kinds.items()
            }
            function(*args, **given, **sets)

        del command.__wrapped__  # else its parameters are read instead of these
        command.__signature__ = inspect.Signature([*own, *spread])  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in (*own, *spread)}
        return command

    return decorate


def _parameter(spec: Spec) -> inspect.Parameter:
    text = get_origin(spec.kind) is dict  # names and values, which the option itself reads
    kind = str if text else spec.kind
    shown = Parameter(help=spec.help, group=Group(spec.group), alias=spec.note.flag or None, negative="")
    annotation: Any = Annotated[kind | None if spec.optional else kind, shown]
    default = "" if text else spec.default
    return inspect.Parameter(spec.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

"""What ``--compare`` names: versions that differ in one option of the look, and a picture to compare them with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import ArgumentError
from vsdslnet.option_specs import Spec, specs
from vsdslnet.options import LookOptions

__all__ = ["Version", "parse_compare"]

_MOST_VERSIONS = 8
_NO_LOOK = "none"


class Version(NamedTuple):
    """Settings, and how the page calls them."""

    name: str
    settings: EncodeSettings


def parse_compare(words: Sequence[str], settings: EncodeSettings) -> tuple[list[Version], Path | None]:
    """``white=100,150,203`` or ``look=none,film,mine.safetensors``, and the path of an HDR picture, in any order.

    Either may be left out: a picture alone is compared with ``settings`` as they are. ArgumentError for anything else,
    and for values that the option may not have.
    """
    by_name = {spec.name: spec for spec in specs(LookOptions)}
    versions: list[Version] = []
    reference: Path | None = None
    for word in words:
        name, has_values, values = word.partition("=")
        if has_values and name in by_name and not versions:
            versions = _versions(by_name[name], values, settings)
        elif reference is None and Path(word).is_file():
            reference = Path(word)
        else:
            options = ", ".join(by_name)
            allowed = f"one option of the look with its values ({options}), as white=100,150,203, and one HDR picture"
            raise ArgumentError("compare", word, allowed, "check the name and the path")
    return versions or [Version("as set", settings)], reference


def _versions(spec: Spec, text: str, settings: EncodeSettings) -> list[Version]:
    values = [value.strip() for value in text.split(",")]
    if not 2 <= len(set(values)) == len(values) <= _MOST_VERSIONS:
        raise ArgumentError(
            "compare", f"{spec.name}={text}", f"from two to {_MOST_VERSIONS} different values with commas between"
        )
    changed: list[dict[str, Any]] = [{spec.field: _value(spec, value)} for value in values]
    return [
        Version(f"{spec.name}={value}", replace(settings, **change))
        for value, change in zip(values, changed, strict=True)
    ]


def _value(spec: Spec, text: str) -> object:
    if spec.kind is not float:
        return None if spec.optional and text == _NO_LOOK else text
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(spec.name, text, spec.allowed) from None

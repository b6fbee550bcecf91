"""Which room may import which: ARCHITECTURE.md's arrows, held by reading every import of every module."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from plugin_tests.paths import ROOT

PACKAGE = ROOT / "vsdslnet"

# room: the rooms it imports, besides errors, options, what they are made of, and itself. What is missing here may not
# be imported, and what is no longer imported may not stand here.
ROOMS = {
    "color": "",
    "network": "color",
    "tensor_files": "",
    "weights": "network tensor_files",
    "views": "color",
    "stills": "color",
    "hdr10": "",
    "hdr10plus": "color",
    "looks": "tensor_files",
    "inference": "color looks network weights",
    "plugin": "color hdr10 inference looks weights",
    "encode": "color hdr10 hdr10plus inference looks plugin weights",
    "tools": "color encode inference plugin stills views weights",
    "command_options": "",
    "standard_streams": "",
    "__main__": "cli",
    "cli": "command_options encode looks standard_streams tools training weights",  # training: fit alone
    "training": "color inference looks network stills views weights",
}
# The same inside the rooms that have rooms, in the order in which data flows: each imports earlier ones only.
ORDER = {
    "inference": "precision backend look foreign_frames cpu cuda backends converter lut",
    "encode": (
        "stderr ffmpeg_log child_process place picture_names settings form source job bitstream chunk container "
        "identity prepare progress workers delivery run batch"
    ),
    "training": "config material simulation dataset pointwise initialisation evaluation fit loop paper commands",
}
KNOW_VAPOURSYNTH = {"plugin", "encode.source", "encode.chunk", "encode.prepare", "stills", "tools", "training.material"}


def imported(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever that stands; ``from a import b`` names a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def modules() -> Iterator[tuple[list[str], set[str]]]:
    """Every module's name below vsdslnet in parts, and what it imports."""
    for path in PACKAGE.rglob("*.py"):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        yield [part for part in parts if part != "__init__"], set(imported(path))


def ours(names: set[str]) -> Iterator[list[str]]:
    for name in names:
        if name.startswith("vsdslnet.") and is_module(name):
            yield name.split(".")[1:]


def test_rooms_import_what_they_may() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for [*parts], names in modules():
        if parts:
            found[parts[0]] |= {other[0] for other in ours(names)} - {parts[0], "errors", "option_specs", "options"}
    allowed = {room: set(others.split()) for room, others in ROOMS.items()}
    assert {room: others for room, others in found.items() if others} == {
        room: others for room, others in allowed.items() if others
    }


def test_inside_a_room_data_flows_one_way() -> None:
    wrong = []
    for parts, names in modules():
        if len(parts) < 2 or parts[0] not in ORDER:
            continue
        order = ORDER[parts[0]].split()
        for other in ours(names):
            if other[0] != parts[0] or len(other) < 2 or other[1] == parts[1]:
                continue
            known = {parts[1], other[1]} <= set(order)
            if not known or order.index(other[1]) > order.index(parts[1]):
                wrong.append(f"{'.'.join(parts)} imports {'.'.join(other)}")
    assert not wrong


def test_few_rooms_know_vapoursynth() -> None:
    know = {
        room
        for parts, names in modules()
        if any(name.split(".")[0] == "vapoursynth" for name in names)
        for room in [".".join(parts[:2]) if parts[0] in ORDER else parts[0]]
    }
    assert know == KNOW_VAPOURSYNTH

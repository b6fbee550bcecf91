"""Chapters of Matroska that FFmpeg does not read are told before the work."""

from __future__ import annotations

import random
from pathlib import Path

import av
import pytest

from plugin_tests.encode.container.odd_media import film
from vsdslnet.encode.container.matroska_chapters import lost_chapters
from vsdslnet.encode.container.passage import outlook

SECOND = 10**9


def element(identity: str, *contents: bytes) -> bytes:
    """An EBML element, its size in eight bytes."""
    data = b"".join(contents)
    return bytes.fromhex(identity) + (1 << 56 | len(data)).to_bytes(8, "big") + data


def number(identity: str, value: int) -> bytes:
    return element(identity, value.to_bytes(8, "big"))


def atom(start: int, end: int, *more: bytes) -> bytes:
    """A chapter, its times in seconds."""
    return element("b6", number("73c4", start + 1), number("91", start * SECOND), number("92", end * SECOND), *more)


def edition(*atoms: bytes, ordered: bool = False) -> bytes:
    return element("45b9", number("45dd", ordered), *atoms)


def matroska(path: Path, *editions: bytes, behind: bool = False) -> Path:
    """A file's skeleton, its chapters before or ``behind`` the first cluster."""
    chapters, cluster = element("1043a770", *editions), element("1f43b675")
    if not behind:
        segment = [chapters, cluster]
    else:
        seek_head = element("114d9b74", element("4dbb", element("53ab", bytes.fromhex("1043a770")), number("53ac", 0)))
        at = len(seek_head) + len(cluster)
        seek_head = seek_head[:-8] + at.to_bytes(8, "big")
        segment = [seek_head, cluster, chapters]
    path.write_bytes(element("1a45dfa3") + element("18538067", *segment))
    return path


ORDERED = "ordered chapters (players that know them show parts of the file"
OTHER_FILE = element("6e67", bytes(16))


@pytest.mark.parametrize(
    ("editions", "kept", "told"),
    [
        ([edition(atom(0, 1), atom(1, 2))], 2, []),
        ([edition(atom(0, 1), atom(1, 2), ordered=True)], 2, []),  # as it lies in the file
        ([edition(atom(1, 2), atom(0, 1), ordered=True)], 1, [f"{ORDERED} in another", "1 of 2 chapters"]),
        ([edition(atom(0, 1, OTHER_FILE), ordered=True)], 1, [f"{ORDERED} and of other files in another"]),
        ([edition(atom(1, 2), ordered=True)], 1, [f"{ORDERED} in another"]),
        ([edition(atom(0, 2, atom(0, 1), atom(1, 2))), edition(atom(0, 1))], 2, ["2 of 4 chapters (nested"]),
        ([], 0, []),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_what_is_lost_is_told(editions: list[bytes], kept: int, told: list[str], behind: bool, tmp_path: Path) -> None:
    lost = lost_chapters(matroska(tmp_path / "a.mkv", *editions, behind=behind), kept=kept)
    assert [line.startswith(words) for line, words in zip(lost, told, strict=True)] == [True] * len(told)


def test_a_whole_file_tells_it_to_info(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", frames=24, chapters=[(500, 1000), (0, 500)])
    with av.open(str(path)) as media:
        assert len(media.chapters()) == 1
        assert [line.partition("without ")[2] for line in outlook(media, path, main=0)[:3]] == [
            "1 of 2 chapters (nested, of other editions or out of order)"
        ] * 3


def test_damage_is_silence(tmp_path: Path) -> None:
    deep = atom(0, 1)
    for _ in range(3000):
        deep = element("b6", deep)
    path = matroska(tmp_path / "a.mkv", edition(deep, ordered=True), behind=True)
    assert lost_chapters(path, kept=1)
    whole, chance = (
        matroska(path, edition(atom(1, 2), atom(0, 1), ordered=True), behind=True).read_bytes(),
        random.Random(1),
    )
    for _ in range(500):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged[: chance.randrange(1, len(damaged) + 1)])
        assert len(lost_chapters(path, kept=1)) <= 2

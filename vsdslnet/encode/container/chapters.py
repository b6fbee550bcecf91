"""Chapters on the programme's time, as a muxer takes them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

__all__ = ["programme_chapters"]


def programme_chapters(chapters: list[Any], *, start_seconds: float, as_text: bool) -> list[Any]:
    """The chapters of a source whose programme starts at ``start_seconds``, in order, none before 0 or backwards.

    ``as_text``: for MP4 and MOV, whose chapters are the lines of a text track. FFmpeg leaves out those without a title,
    so that the times and titles of the others change places, and puts the first one at 0: each gets a title, if an
    empty one, and so does what lies before the first.
    """
    moved = []
    for chapter in chapters:
        shift = round(Fraction(start_seconds) / Fraction(chapter["time_base"]))
        start = max(0, chapter["start"] - shift)
        moved.append({**chapter, "start": start, "end": max(start, chapter["end"] - shift)})
    moved.sort(key=lambda chapter: Fraction(chapter["time_base"]) * chapter["start"])
    if not as_text:
        return moved
    if moved and moved[0]["start"]:
        free = max(chapter["id"] for chapter in moved) + 1
        moved.insert(0, {**moved[0], "id": free, "start": 0, "end": moved[0]["start"], "metadata": {}})
    return [{**chapter, "metadata": {"title": "", **chapter["metadata"]}} for chapter in moved]

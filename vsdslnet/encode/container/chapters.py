"""Chapters on the programme's time, as a muxer takes them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

__all__ = ["programme_chapters"]


def programme_chapters(chapters: list[Any], *, start_seconds: float) -> list[Any]:
    """The chapters of a source whose programme starts at ``start_seconds``, in order, none before 0 or backwards."""
    moved = []
    for chapter in chapters:
        shift = round(Fraction(start_seconds) / Fraction(chapter["time_base"]))
        start = max(0, chapter["start"] - shift)
        moved.append({**chapter, "start": start, "end": max(start, chapter["end"] - shift)})
    return sorted(moved, key=lambda chapter: Fraction(chapter["time_base"]) * chapter["start"])

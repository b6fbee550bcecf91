"""A run's log: JSON lines, one a step or a validation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["Log"]


class Log:
    """JSON lines, cut back to the checkpoint's step when a run resumes."""

    def __init__(self, path: Path, step: int, main: bool) -> None:
        self._path, self._main = path, main
        if main and path.is_file():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= step]
            path.write_text("".join(f"{line}\n" for line in kept))

    def write(self, row: dict[str, Any]) -> None:
        """Add a line, if this is the main process."""
        if self._main:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):
        return float("inf")

"""Where this checkout and its scripts lie."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ROOT", "SCRIPTS"]

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"

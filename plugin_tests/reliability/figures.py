"""What a reliability check reports: a promise, its bound, what was measured, and whether it was kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Figure", "Options", "at_most", "broken", "exactly", "none_of"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to measure: ``model`` is the trained one, ``look`` a grade (names or files); ``folder`` is scratch space."""

    folder: Path
    model: str = "dslnet"
    look: str | None = None
    quick: bool = False


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One promise of one run."""

    promise: str
    bound: str
    measured: str
    kept: bool
    details: list[str] = field(default_factory=list)
    """What broke it, a line each."""

    def line(self) -> str:
        """One line for a terminal."""
        return f"{'kept  ' if self.kept else 'BROKEN'}  {self.promise}: {self.measured} (promised: {self.bound})"


def at_most(promise: str, measured: float, bound: float, unit: str) -> Figure:
    """``measured`` may not be above ``bound``; a NaN is."""
    return Figure(
        promise=promise, bound=f"<= {bound:g} {unit}", measured=f"{measured:.3g} {unit}", kept=measured <= bound
    )


def exactly(promise: str, measured: object, bound: object, unit: str = "") -> Figure:
    """``measured`` has to be ``bound``."""
    return Figure(
        promise=promise, bound=f"{bound} {unit}".strip(), measured=f"{measured} {unit}".strip(), kept=measured == bound
    )


def none_of(promise: str, failures: list[str], of: int, unit: str) -> Figure:
    """No failure among ``of`` attempts, and at least one attempt."""
    return Figure(
        promise=promise,
        bound=f"0 failures of {of}",
        measured=f"{len(failures)} failures of {of} {unit}",
        kept=not failures and of > 0,
        details=failures,
    )


def broken(figures: list[Figure]) -> list[str]:
    """Lines of the promises not kept, with what broke them; for a test's assertion."""
    return [line for figure in figures if not figure.kept for line in (figure.line(), *figure.details[:5])]

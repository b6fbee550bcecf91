"""What a job is made of, as its ``plan.json`` says it: source, settings, tools, timing, chunks."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import msgspec

from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.probe import SourceIdentity, SourceInfo
from vsdslnet.errors import JobError

__all__ = ["JobIdentity", "JobPlan", "read_plan"]

PLAN_NAME = "plan.json"


class JobIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must not change between a job's start and its resumption.

    ``tools`` names versions of everything whose change would alter frames or bits.
    """

    source: SourceIdentity
    settings: EncodeSettings
    model_sha256: str
    tools: str

    def difference(self, other: JobIdentity) -> str | None:
        """What differs, in words; None if nothing does."""
        if self.source != other.source:
            return "the source file has changed"
        if self.model_sha256 != other.model_sha256:
            return "the model has changed"
        if self.tools != other.tools:
            return f"the programs have changed ({self.tools} -> {other.tools})"
        changed = [
            f"{name} {getattr(self.settings, name)!r} -> {getattr(other.settings, name)!r}"
            for name in (field.name for field in fields(self.settings))
            if getattr(self.settings, name) != getattr(other.settings, name)
        ]
        return "settings have changed: " + ", ".join(changed) if changed else None


class JobPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole job.

    ``threads``        each maker of chunks computes with; the picture does not depend on it.
    ``timestamps``     in units of ``time_base`` seconds, one a frame, strictly rising.
    ``cuts``           first frames of shots, but for the first shot.
    """

    identity: JobIdentity
    source: SourceInfo
    encoder: str
    threads: int
    time_base: tuple[int, int]
    timestamps: list[int]
    chunks: list[Chunk]
    cuts: list[int]

    @property
    def frames(self) -> int:
        """Frames in the programme."""
        return len(self.timestamps)

    @property
    def suffix(self) -> str:
        """File name suffix of chunks."""
        return "hevc" if self.identity.settings.codec == "hevc" else "obu"

    @property
    def frame_rate(self) -> Fraction:
        """Average frames a second."""
        return Fraction(*self.source.frame_rate)


def read_plan(folder: Path) -> JobPlan | None:
    """A job's plan, or None if there is none yet; JobError if it can't be read."""
    path = folder / PLAN_NAME
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=JobPlan)
    except (msgspec.MsgspecError, OSError) as error:
        raise JobError(f"{path} can't be read ({error}); use --restart to start anew") from None

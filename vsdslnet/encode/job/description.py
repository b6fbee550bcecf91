"""What a job is made of, as its ``job.json`` says: source, settings, tools, timing, chunks."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import msgspec

from vsdslnet.encode.form import Form, form_of
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.probe import SourceIdentity, SourceInfo
from vsdslnet.encode.source.script_files import ScriptIdentity
from vsdslnet.encode.source.timeline import Timeline
from vsdslnet.errors import JobError

__all__ = ["JOB_NAME", "Job", "JobIdentity", "read_job"]

JOB_NAME = "job.json"
_NAME_IN_0_2 = "plan.json"


class JobIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must not change between a job's start and its resumption.

    ``tools`` names versions of everything whose change would alter frames or bits. Beside a script's text (``source``)
    there is what it reads, and the file that everything but the picture comes from.
    """

    source: SourceIdentity
    script: ScriptIdentity | None = None
    tracks: SourceIdentity | None = None
    settings: EncodeSettings
    model_sha256: str
    tools: str


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole job.

    ``threads``        each maker of chunks computes with; the picture does not depend on it.
    ``decoder_threads``  decode the source, 0: as many as BestSource likes.
    ``timeline``       from the source's times to the programme's.
    ``timestamps``     of the programme, in units of ``time_base`` seconds, one a frame, strictly rising.
    ``last_ticks``     for which the last frame is shown, in the same units; 0: as long as the one before.
    ``rate``           frames a second, (numerator, denominator): what the timestamps show, on average.
    ``cuts``           first frames of shots, but for the first shot.
    """

    identity: JobIdentity
    source: SourceInfo
    encoder: str
    threads: int
    decoder_threads: int
    timeline: Timeline
    time_base: tuple[int, int]
    timestamps: list[int]
    last_ticks: int = 0
    rate: tuple[int, int]
    chunks: list[Chunk]
    cuts: list[int]

    @property
    def frames(self) -> int:
        """Frames in the programme."""
        return len(self.timestamps)

    @property
    def suffix(self) -> str:
        """File name suffix of chunks."""
        return self.form.chunk_suffix

    @property
    def form(self) -> Form:
        """What the codec makes of the job."""
        return form_of(self.identity.settings)

    @property
    def times_constant(self) -> bool:
        """Whether every frame is shown for the same time."""
        return len({later - at for at, later in pairwise(self.timestamps)}) <= 1

    @property
    def frame_rate(self) -> Fraction:
        """Average frames a second."""
        return Fraction(*self.rate)


def read_job(folder: Path) -> Job | None:
    """The job in a folder, or None if there is none yet; JobError if it can't be read."""
    path = folder / JOB_NAME
    if (folder / _NAME_IN_0_2).exists():
        raise JobError(f"{folder} holds a job begun by vsdslnet 0.2; use --restart to start anew")
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Job)
    except (msgspec.MsgspecError, OSError) as error:
        raise JobError(f"{path} can't be read ({error}); use --restart to start anew") from None

"""The seam between a job and what makes its chunks: this machine, or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from vsdslnet import weights
from vsdslnet.encode.chunk.maker import Progress
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import ChunkResult
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.options import BackendOptions

__all__ = ["Executor", "check_here"]


class Executor(Protocol):
    """Makes chunks, wherever; the files lie in the job's folder when their results are given out.

    ``threads``: that a new job's chunks are to be made with, each. A job that goes on keeps its number.
    """

    threads: int

    def check(self, settings: EncodeSettings) -> None:
        """BackendError if it can be known before any work that the network can't run as asked for."""
        ...

    def run(self, job: Job, folder: Path, chunks: Sequence[Chunk], progress: Progress) -> Iterator[ChunkResult]:
        """Results in the order they are finished. JobError, MediaError, ... if it can't go on.

        Closing the iterator stops everything that still runs.
        """
        ...


def check_here(settings: EncodeSettings) -> None:
    """WeightsError if the model is not there, BackendError if this machine can't run the network as asked for.

    Else its first frame would be the one to say so, after a whole film was looked through.
    """
    weights.read(weights.find(settings.model))
    if settings.is_plain:
        return  # whatever the network would run on
    # Here, as it loads torch, which takes seconds.
    from vsdslnet.inference.backends import check_backend

    check_backend(settings.part(BackendOptions))

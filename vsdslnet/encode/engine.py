"""The seam between a job and what makes its chunks: this machine, or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from vsdslnet.encode.chunks import Progress
from vsdslnet.encode.job import JobPlan
from vsdslnet.encode.journal import ChunkResult
from vsdslnet.encode.plan import Chunk

__all__ = ["ChunkEngine"]


class ChunkEngine(Protocol):
    """Makes chunks, wherever; the files lie in the job's folder when their results are given out.

    ``threads``: that a new job's chunks are to be made with, each. A job that goes on keeps its number.
    """

    threads: int

    def run(self, plan: JobPlan, folder: Path, chunks: Sequence[Chunk], progress: Progress) -> Iterator[ChunkResult]:
        """Results in the order they are finished. JobError, MediaError, ... if it can't go on.

        Closing the iterator stops everything that still runs.
        """
        ...

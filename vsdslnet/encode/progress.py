"""Tells a person, a log or a program how an encode goes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import ChunkResult, Journal
from vsdslnet.errors import JobError, printable

__all__ = ["JsonReporter", "PersonReporter", "QuietReporter", "Reporter"]

_SCAN_TELL_SECONDS = 1.0
# "0:00:00" and longer.
_TIME_COLUMNS = 8


class Reporter(Protocol):
    """Hears of everything that happens in a job."""

    def scanned(self, frames: int, total: int) -> None:
        """The source is looked through: ``frames`` of ``total`` so far."""

    def noted(self, left_out: Sequence[str], warnings: Sequence[str]) -> None:
        """Before work: what the output will lack, and what the encoder says of its parameters."""

    def planned(self, job: Job, journal: Journal) -> None:
        """Work begins; the journal says what is finished already."""

    def working(self, index: int, frames: int, max_nits: float) -> None:
        """``frames`` of a chunk are done, its brightest pixel so far in cd/m²."""

    def finished(self, result: ChunkResult) -> None:
        """A chunk is finished."""

    def muxing(self) -> None:
        """All chunks are finished; the file is put together."""

    def close(self) -> None:
        """Nothing more comes."""


class QuietReporter:
    """Says nothing."""

    def scanned(self, frames: int, total: int) -> None:
        """See :class:`Reporter`."""

    def noted(self, left_out: Sequence[str], warnings: Sequence[str]) -> None:
        """See :class:`Reporter`."""

    def planned(self, job: Job, journal: Journal) -> None:
        """See :class:`Reporter`."""

    def working(self, index: int, frames: int, max_nits: float) -> None:
        """See :class:`Reporter`."""

    def finished(self, result: ChunkResult) -> None:
        """See :class:`Reporter`."""

    def muxing(self) -> None:
        """See :class:`Reporter`."""

    def close(self) -> None:
        """See :class:`Reporter`."""


class _Tally:
    """What is known at any moment: frames, speed, size, light."""

    def __init__(self, job: Job, journal: Journal) -> None:
        results = journal.finished.values()
        self.total = job.frames
        self.kept = self.done = sum(result.frames for result in results)
        self.size_bytes = sum(result.size_bytes for result in results)
        self.max_nits = max((result.max_nits for result in results), default=0.0)
        self.max_average_nits = max((result.max_average_nits for result in results), default=0.0)
        self._in_flight: dict[int, int] = {}
        self._first: tuple[float, int] | None = None

    def working(self, index: int, frames: int, max_nits: float) -> None:
        self._in_flight[index] = frames
        if self._first is None:  # loading the model is no measure of speed
            self._first = time.monotonic(), self.frames
        self.max_nits = max(self.max_nits, max_nits)

    def finished(self, result: ChunkResult) -> None:
        self._in_flight.pop(result.index, None)
        self.done += result.frames
        self.size_bytes += result.size_bytes
        self.max_nits = max(self.max_nits, result.max_nits)
        self.max_average_nits = max(self.max_average_nits, result.max_average_nits)

    @property
    def frames(self) -> int:
        return self.done + sum(self._in_flight.values())

    @property
    def frames_per_second(self) -> float:
        if self._first is None or self.frames == self._first[1]:
            return 0.0
        return (self.frames - self._first[1]) / max(time.monotonic() - self._first[0], 1e-6)

    @property
    def remaining_seconds(self) -> float | None:
        speed = self.frames_per_second
        return (self.total - self.frames) / speed if speed > 0 else None


class JsonReporter:
    """One JSON object a line: ``event`` and what belongs to it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream, self._told = stream or sys.stdout, 0.0
        self._tally: _Tally | None = None

    def scanned(self, frames: int, total: int) -> None:
        """See :class:`Reporter`."""
        if frames == total or time.monotonic() - self._told >= _SCAN_TELL_SECONDS:
            self._told = time.monotonic()
            self.tell("scanning", frames=frames, total_frames=total)

    def noted(self, left_out: Sequence[str], warnings: Sequence[str]) -> None:
        """See :class:`Reporter`."""
        if left_out or warnings:
            self.tell("noted", left_out=list(left_out), encoder_warnings=list(warnings))

    def planned(self, job: Job, journal: Journal) -> None:
        """See :class:`Reporter`."""
        self._tally = _Tally(job, journal)
        self.tell(
            "planned",
            total_frames=job.frames,
            kept_frames=self._tally.kept,
            chunks=len(job.chunks),
            kept_chunks=len(journal.finished),
            encoder=job.encoder,
        )

    def working(self, index: int, frames: int, max_nits: float) -> None:
        """See :class:`Reporter`."""
        assert self._tally is not None
        self._tally.working(index, frames, max_nits)
        self._tell_state("working", chunk=index, chunk_frames=frames)

    def finished(self, result: ChunkResult) -> None:
        """See :class:`Reporter`."""
        assert self._tally is not None
        self._tally.finished(result)
        self._tell_state("chunk", chunk=result.index, chunk_frames=result.frames, sha256=result.sha256)

    def muxing(self) -> None:
        """See :class:`Reporter`."""
        self.tell("muxing")

    def close(self) -> None:
        """See :class:`Reporter`."""

    def tell(self, event: str, **values: object) -> None:
        """Write one line."""
        try:
            self._stream.write(json.dumps({"event": event, **values}) + "\n")
            self._stream.flush()
        except OSError as error:  # a program that is to hear of it and does not is no reason to go on
            why = f"can't be written ({error.strerror}); what is finished is kept: run this command again"
            raise JobError(f"standard output: {why}") from None

    def _tell_state(self, event: str, **values: object) -> None:
        assert self._tally is not None
        remaining = self._tally.remaining_seconds
        self.tell(
            event,
            **values,
            frames=self._tally.frames,
            total_frames=self._tally.total,
            frames_per_second=round(self._tally.frames_per_second, 3),
            remaining_seconds=None if remaining is None else round(remaining, 1),
            size_bytes=self._tally.size_bytes,
            max_cll_nits=round(self._tally.max_nits, 1),
        )


class PersonReporter:
    """A progress bar on the terminal's error stream."""

    def __init__(self, console: Console | None = None, *, within: str = "") -> None:
        self._within = within  # which of many files this is
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            # In a narrow terminal the bar gives way, not the time.
            TimeRemainingColumn(elapsed_when_finished=True, table_column=Column(min_width=_TIME_COLUMNS, no_wrap=True)),
            console=console or Console(stderr=True),
        )
        self._tally: _Tally | None = None
        self._scan: TaskID | None = None
        self._work: TaskID | None = None

    def scanned(self, frames: int, total: int) -> None:
        """See :class:`Reporter`."""
        self._progress.start()
        if self._scan is None:
            self._scan = self._progress.add_task(f"{self._within}finding scene cuts", total=total, state="")
        self._progress.update(self._scan, completed=frames)

    def noted(self, left_out: Sequence[str], warnings: Sequence[str]) -> None:
        """See :class:`Reporter`."""
        said = [f"will not be in the file: {what}" for what in left_out]
        for line in [*said, *(f"the encoder warns: {warning}" for warning in warnings)]:
            self._progress.console.print(printable(line), highlight=False, markup=False, soft_wrap=True)

    def planned(self, job: Job, journal: Journal) -> None:
        """See :class:`Reporter`."""
        self._tally = _Tally(job, journal)
        self._progress.start()
        begins = f"{Path(job.source.path).name}: frames {job.frames}, chunks {len(job.chunks)}, {job.encoder}"
        self._progress.console.print(printable(begins), highlight=False, markup=False, soft_wrap=True)
        if journal.finished:
            kept = f"going on: {self._tally.kept} of {job.frames} frames are finished"
            self._progress.console.print(kept, highlight=False)
        if self._scan is not None:
            self._progress.update(self._scan, visible=False)
        self._work = self._progress.add_task(
            f"{self._within}converting", total=job.frames, completed=self._tally.kept, state=""
        )

    def working(self, index: int, frames: int, max_nits: float) -> None:
        """See :class:`Reporter`."""
        assert self._tally is not None
        self._tally.working(index, frames, max_nits)
        self._show(index)

    def finished(self, result: ChunkResult) -> None:
        """See :class:`Reporter`."""
        assert self._tally is not None
        self._tally.finished(result)
        self._show(result.index)

    def muxing(self) -> None:
        """See :class:`Reporter`."""
        self._progress.console.print("putting the file together", highlight=False)

    def close(self) -> None:
        """See :class:`Reporter`."""
        if self._progress.live.is_started:  # else there is an error to tell, and rich would print an empty line
            self._progress.stop()

    def _show(self, index: int) -> None:
        assert self._tally is not None and self._work is not None
        state = (
            f"{self._tally.frames_per_second:.2f} fps, {self._tally.size_bytes / 1e6:.1f} MB, "
            f"chunk {index}, MaxCLL {self._tally.max_nits:.0f}"
        )
        self._progress.update(self._work, completed=self._tally.frames, state=state)

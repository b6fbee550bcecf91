"""The executor on this machine: worker processes, each with the model loaded once."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from vsdslnet.encode.child_process import how_ended
from vsdslnet.encode.chunk.maker import Progress
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import ChunkResult
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.workers.interface import check_here
from vsdslnet.encode.workers.process import Done, Event, Failed, Fed, Ready, Working, worker_environment
from vsdslnet.errors import JobError, shorten

__all__ = ["LocalExecutor"]

# Times a chunk is tried when its worker dies under it.
_ATTEMPTS = 3


class LocalExecutor:
    """Runs ``workers`` processes side by side; one is right for a GPU and for most CPUs."""

    def __init__(self, *, workers: int = 1, threads: int | None = None) -> None:
        self._workers = workers
        self.threads = threads or max(1, (os.cpu_count() or 1) // workers)

    def check(self, settings: EncodeSettings) -> None:
        """See :class:`~vsdslnet.encode.workers.interface.Executor`."""
        check_here(settings)

    def run(self, job: Job, folder: Path, chunks: Sequence[Chunk], progress: Progress) -> Iterator[ChunkResult]:
        """See :class:`~vsdslnet.encode.workers.interface.Executor`."""
        waiting = deque(chunks)
        attempts: dict[int, int] = {}
        events: queue.SimpleQueue[tuple[_Worker, Event | None]] = queue.SimpleQueue()
        live: set[_Worker] = set()
        try:
            for _ in range(min(self._workers, len(waiting))):
                live.add(_Worker(folder, events, job.threads))
            while live:
                worker, event = events.get()
                if isinstance(event, Working):
                    progress(event.index, event.frames, event.max_nits)
                elif isinstance(event, Failed):
                    raise event.error()
                elif event is None:
                    live.discard(worker)
                    worker.wait()
                    if not worker.chunks and not waiting:
                        continue
                    _count_attempts(attempts, worker)
                    waiting.extendleft(reversed(worker.chunks))
                    live.add(_Worker(folder, events, job.threads))
                else:
                    if isinstance(event, Done):
                        worker.chunks = [chunk for chunk in worker.chunks if chunk.index != event.result.index]
                        yield event.result
                    if isinstance(event, Ready | Fed) and waiting:
                        worker.order(waiting.popleft())
                    elif not worker.chunks:
                        worker.dismiss()
        finally:
            for worker in live:
                worker.kill()


class _Worker:
    """A worker process and the thread that listens to it.

    ``chunks``: in its hands, in order; it makes the last and may still be finishing the one before.
    """

    def __init__(self, folder: Path, events: queue.SimpleQueue[tuple[_Worker, Event | None]], threads: int) -> None:
        self.chunks: list[Chunk] = []
        self._heard, self._talked_nonsense = b"", False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vsdslnet.encode.workers.process", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=worker_environment(threads, os.environ),
        )
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def order(self, chunk: Chunk) -> None:
        """Have it make a chunk."""
        assert self._process.stdin is not None
        self.chunks.append(chunk)
        with contextlib.suppress(BrokenPipeError):  # it is dead, and its listener tells
            self._process.stdin.write(b"%d\n" % chunk.index)
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """Have it end."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def wait(self) -> None:
        """Until it is gone, whose output has ended: no zombie stays."""
        self._process.wait()

    def kill(self) -> None:
        """End it now and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def cause_of_death(self) -> str:
        """How it ended, with the last line it left."""
        code = self._process.wait()
        if self._talked_nonsense:
            return f"as it said what is no event: {shorten(self._heard)}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return how_ended(code) + (f": {lines[-1].strip()}" if lines else "")

    def _listen(self, events: queue.SimpleQueue[tuple[_Worker, Event | None]]) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._heard = line
                events.put((self, msgspec.json.decode(line, type=Event)))
        except msgspec.MsgspecError:
            self._talked_nonsense = True
            self._process.kill()  # it would wait for orders for ever
        finally:
            events.put((self, None))


def _count_attempts(attempts: dict[int, int], worker: _Worker) -> None:
    """JobError when a chunk, or the start (-1), has killed a worker too often."""
    for index in [chunk.index for chunk in worker.chunks] or [-1]:
        attempts[index] = attempts.get(index, 0) + 1
        if attempts[index] >= _ATTEMPTS:
            what = "at its start" if index < 0 else f"in chunk {index}"
            raise JobError(f"a worker died {attempts[index]} times {what}, {worker.cause_of_death()}")

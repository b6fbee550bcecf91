"""The engine on this machine: worker processes, each with the model loaded once."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from vsdslnet.encode.chunks import Progress
from vsdslnet.encode.job import JobPlan
from vsdslnet.encode.journal import ChunkResult
from vsdslnet.encode.plan import Chunk
from vsdslnet.encode.worker import Done, Event, Failed, Working
from vsdslnet.errors import JobError

__all__ = ["LocalEngine"]

# Times a chunk is tried when its worker dies under it.
_ATTEMPTS = 3


class LocalEngine:
    """Runs ``workers`` processes side by side; one is right for a GPU and for most CPUs."""

    def __init__(self, *, workers: int = 1, threads: int | None = None) -> None:
        self._workers = workers
        self.threads = threads or max(1, (os.cpu_count() or 1) // workers)

    def run(self, plan: JobPlan, folder: Path, chunks: Sequence[Chunk], progress: Progress) -> Iterator[ChunkResult]:
        """See :class:`~vsdslnet.encode.engine.ChunkEngine`."""
        waiting = deque(chunks)
        attempts: dict[int, int] = {}
        events: queue.SimpleQueue[tuple[_Worker, Event | None]] = queue.SimpleQueue()
        live: set[_Worker] = set()
        try:
            for _ in range(min(self._workers, len(waiting))):
                live.add(_Worker(folder, events, plan.threads))
            while live:
                worker, event = events.get()
                if isinstance(event, Working):
                    progress(event.index, event.frames, event.max_nits)
                elif isinstance(event, Failed):
                    raise event.error()
                elif event is None:
                    live.discard(worker)
                    worker.wait()
                    if worker.chunk is None and not waiting:
                        continue
                    _count_attempt(attempts, worker)
                    if worker.chunk is not None:
                        waiting.appendleft(worker.chunk)
                    live.add(_Worker(folder, events, plan.threads))
                else:
                    if isinstance(event, Done):
                        worker.chunk = None
                        yield event.result
                    worker.order(waiting.popleft() if waiting else None)
        finally:
            for worker in live:
                worker.kill()


class _Worker:
    """A worker process and the thread that listens to it."""

    def __init__(self, folder: Path, events: queue.SimpleQueue[tuple[_Worker, Event | None]], threads: int) -> None:
        self.chunk: Chunk | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vsdslnet.encode.worker", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def order(self, chunk: Chunk | None) -> None:
        """Have it make a chunk, or end if there is none."""
        assert self._process.stdin is not None
        self.chunk = chunk
        try:
            if chunk is None:
                self._process.stdin.close()
            else:
                self._process.stdin.write(b"%d\n" % chunk.index)
                self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it is dead, and its listener tells

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
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        ended = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        return f"{ended}{hint}" + (f": {lines[-1].strip()}" if lines else "")

    def _listen(self, events: queue.SimpleQueue[tuple[_Worker, Event | None]]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            events.put((self, msgspec.json.decode(line, type=Event)))
        events.put((self, None))


def _count_attempt(attempts: dict[int, int], worker: _Worker) -> None:
    """JobError when a chunk, or the start (-1), has killed a worker too often."""
    key = -1 if worker.chunk is None else worker.chunk.index
    attempts[key] = attempts.get(key, 0) + 1
    if attempts[key] >= _ATTEMPTS:
        what = "at its start" if worker.chunk is None else f"in chunk {worker.chunk.index}"
        raise JobError(f"a worker died {attempts[key]} times {what}, {worker.cause_of_death()}")

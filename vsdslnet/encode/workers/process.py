"""A worker process: makes the chunks it is told to, says what it does, dies with its parent.

Lines of JSON both ways. On stdin: a chunk's index. On stdout: one of the events below.
"""

from __future__ import annotations

import ctypes
import gc
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from vsdslnet import errors
from vsdslnet.encode.job.journal import ChunkResult
from vsdslnet.errors import DslnetError, JobError, one_line

if TYPE_CHECKING:
    from vsdslnet.encode.chunk.file import ChunkFile

__all__ = ["Done", "Event", "Failed", "Fed", "Ready", "Working", "main", "worker_environment"]

# Progress is told at most this often.
_TELL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The source is open; chunks may come."""


class Working(msgspec.Struct, frozen=True, tag="working"):
    """``frames`` of a chunk are done; its brightest pixel so far."""

    index: int
    frames: int
    max_nits: float


class Fed(msgspec.Struct, frozen=True, tag="fed"):
    """The encoder has all frames of a chunk and finishes it; the next chunk may come."""

    index: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """A chunk is finished and its file in place."""

    result: ChunkResult


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """An error that another attempt would not cure; ``kind`` is the class in ``vsdslnet.errors``."""

    kind: str
    text: str

    @classmethod
    def of(cls, error: Exception) -> Failed:
        """What to tell of an error; one that is not ours is named."""
        text = one_line(error)
        if isinstance(error, DslnetError):
            # A room's own kind of error is told as the public one that it is.
            public = next(kind for kind in type(error).__mro__ if kind.__name__ in errors.__all__)
            return cls(public.__name__, text)
        return cls("JobError", f"{type(error).__name__} in a worker: {text}")

    def error(self) -> DslnetError:
        """The error again, in another process."""
        kind = getattr(errors, self.kind, JobError)
        error: DslnetError = kind.__new__(kind)
        error.args = (self.text,)
        return error


Event = Ready | Working | Fed | Done | Failed


def worker_environment(threads: int, given: Mapping[str, str]) -> dict[str, str]:
    """Environment variables of a process that makes chunks with so many threads, over those given.

    The network's threads wait for each other thousands of times a frame, by default spinning. Where the encoder
    has taken one's core, the others would spin on the cores that the encoder could use; so they sleep, unless the
    caller has decided otherwise. On two cores an encode took 3 to 9 % less time a frame for it (three pairs of runs).
    """
    return {"OMP_WAIT_POLICY": "passive"} | dict(given) | {"OMP_NUM_THREADS": str(threads)}


def main(folder: Path) -> None:
    """Serve chunks of the job in ``folder`` until stdin ends."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between the events
    orders: queue.SimpleQueue[int] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, orders), daemon=True).start()
    try:
        _serve(folder, orders, _Teller(events))
    except Exception as error:
        _Teller(events).tell(Failed.of(error))
    events.flush()
    os._exit(1)


def _serve(folder: Path, orders: queue.SimpleQueue[int], teller: _Teller) -> None:
    from vsdslnet.encode.chunk.maker import ChunkMaker
    from vsdslnet.encode.job.description import read_job

    job = read_job(folder)
    if job is None:
        raise JobError(f"{folder}: no job was begun here")
    maker = ChunkMaker(job, folder)
    # VapourSynth collects garbage after each chunk's frames: 0.1 s without a frame under way if it looked at PyTorch.
    gc.freeze()
    teller.tell(Ready())
    finishing: threading.Thread | None = None
    while True:
        file = maker.feed(job.chunks[orders.get()], teller.working)
        if finishing is not None:  # a chunk in the making and one being finished, never more
            finishing.join()
        teller.tell(Fed(file.index))
        finishing = threading.Thread(target=_finish, args=(file, teller), daemon=True)
        finishing.start()


def _finish(file: ChunkFile, teller: _Teller) -> None:
    try:
        teller.tell(Done(file.finish()))
    except Exception as error:
        teller.tell(Failed.of(error))


class _Teller:
    """Writes events; progress not too often."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._told = stream, 0.0
        self._one_line = threading.Lock()

    def tell(self, event: Event) -> None:
        with self._one_line:
            self._stream.write(msgspec.json.encode(event) + b"\n")
            self._stream.flush()

    def working(self, index: int, frames: int, max_nits: float) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            self.tell(Working(index, frames, max_nits))


def _listen(stream: BinaryIO, orders: queue.SimpleQueue[int]) -> None:
    for line in stream:
        orders.put(int(line))
    # The parent is done with us, or gone: no chunk may be finished behind its back.
    os._exit(0)


def _die_with_parent() -> None:
    """Linux: be killed as soon as the parent dies, even in the middle of a long call without the GIL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

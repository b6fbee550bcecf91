"""A worker finishes a chunk beside the next one's frames, and tells every error."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plugin_tests.encode.results import synthetic_result
from vsdslnet.encode.chunk import maker as chunks
from vsdslnet.encode.job import description as job
from vsdslnet.encode.job.journal import ChunkResult
from vsdslnet.encode.workers import process as worker
from vsdslnet.encode.workers.process import Done, Failed, Fed, Ready, worker_environment
from vsdslnet.errors import JobError


class NoMoreOrdersError(Exception):
    """Ends the loop that otherwise ends with the process."""


class Orders:
    """The numbers 0 .. ``count`` - 1; then it waits until ``told`` has as many outcomes, and ends."""

    def __init__(self, count: int, told: queue.SimpleQueue[Any]) -> None:
        self._left, self._told, self._count = iter(range(count)), told, count
        self.events: list[Any] = []

    def get(self) -> int:
        for index in self._left:
            return index
        while sum(isinstance(event, Done | Failed) for event in self.events) < self._count:
            self.events.append(self._told.get(timeout=30))
        raise NoMoreOrdersError


class File:
    """What a maker hands out: finishes when the next chunk is being fed, or fails."""

    def __init__(self, index: int, fed: list[threading.Event], *, fails: bool) -> None:
        self.index, self._fed, self._fails = index, fed, fails

    def finish(self) -> ChunkResult:
        if self._fails:
            raise JobError("the disk is gone")
        assert self._fed[min(self.index + 1, len(self._fed) - 1)].wait(30), "the next chunk waits for this one"
        return synthetic_result(self.index)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def run(count: int, *, failing: int | None = None) -> list[Any]:
        fed = [threading.Event() for _ in range(count)]

        def feed(index: int, _progress: object) -> File:
            fed[index].set()
            return File(index, fed, fails=index == failing)

        told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        orders = Orders(count, told)
        monkeypatch.setattr(job, "read_job", lambda _folder: SimpleNamespace(chunks=list(range(count))))
        monkeypatch.setattr(chunks, "ChunkMaker", lambda _job, _folder: SimpleNamespace(feed=feed))
        teller: Any = SimpleNamespace(tell=told.put, working=None)
        with pytest.raises(NoMoreOrdersError):
            worker._serve(Path(), orders, teller)  # type: ignore[arg-type]
        return orders.events

    yield run


def test_a_chunk_is_finished_while_the_next_is_fed(serve: Any) -> None:
    events = serve(3)
    assert events[0] == Ready()
    assert [event.index for event in events if isinstance(event, Fed)] == [0, 1, 2]
    assert [event.result.index for event in events if isinstance(event, Done)] == [0, 1, 2]


def test_that_a_chunk_can_be_had_is_told_before_it_is_done(serve: Any) -> None:
    events = serve(1)
    assert [type(event) for event in events] == [Ready, Fed, Done]


def test_a_chunk_that_fails_at_its_end_is_told(serve: Any) -> None:
    failed = [event for event in serve(2, failing=1) if isinstance(event, Failed)]
    assert failed == [Failed("JobError", "the disk is gone")]


def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise() -> None:
    assert worker_environment(2, {"A": "b"}) == {"A": "b", "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    assert worker_environment(2, {"OMP_WAIT_POLICY": "active"})["OMP_WAIT_POLICY"] == "active"

"""The executor on many machines: Ray actors, each with the model loaded once, fed one chunk at a time.

The job's folder and the source lie on a path that every node sees, or go through a store that all reach; only
indices and results travel through Ray. A chunk whose node or actor is lost goes to another.
"""

from __future__ import annotations

import gc
import logging
import socket
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vsdslnet.encode.chunk.maker import ChunkMaker, Progress
from vsdslnet.encode.identity import check_node, otherwise_here
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.description import Job, read_job
from vsdslnet.encode.job.journal import ChunkResult, chunk_path
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.workers.interface import check_here
from vsdslnet.encode.workers.process import Done, Failed, worker_environment
from vsdslnet.encode.workers.store import JobStore, store_name
from vsdslnet.errors import ExecutorError, JobError, MissingPackageError, one_line

__all__ = ["RayExecutor"]

# Times a chunk is tried when what works on it is lost.
_ATTEMPTS = 4
_POLL_SECONDS = 1.0
_CONNECT_SECONDS = 10.0
# Without a word from any actor and no room for one, a cluster is given this long to make room.
_ROOM_SECONDS = 300.0


class RayExecutor:
    """Runs up to ``workers`` actors (as many as there is room for, if None) with ``threads`` cores each.

    Where the cluster has GPUs and the job may use them, an actor takes one of those instead of cores. ``store``
    is an fsspec URL; without one, source and output lie on a shared path.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        workers: int | None = None,
        threads: int | None = None,
        store: str | None = None,
    ) -> None:
        try:
            import ray
        except ImportError:
            raise MissingPackageError("--executor ray", "ray", "pip install 'vsdslnet[ray]'") from None
        self._ray: Any = ray
        self._workers = workers
        self._store_url = store
        self.threads = threads or 1
        if not ray.is_initialized():
            _check_address(address)
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ExecutorError(f"address={address!r}: no Ray cluster answers there ({one_line(error)})") from None

    def check(self, settings: EncodeSettings) -> None:
        """See ``Executor``; nodes may have what this machine lacks, so they tell."""

    def run(self, job: Job, folder: Path, chunks: Sequence[Chunk], progress: Progress) -> Iterator[ChunkResult]:
        """See :class:`~vsdslnet.encode.workers.interface.Executor`."""
        ray = self._ray
        waiting = deque(chunks)
        lost: dict[int, int] = {}
        actors: dict[Any, Any] = {}
        busy: dict[Any, tuple[Any, Chunk]] = {}
        store = self._store(job, folder)
        if store is not None:
            store.offer(job)
        make_actor = self._actor_factory(job, folder, store)
        heard = time.monotonic()
        try:
            while waiting or busy:
                while waiting and len(busy) < self._room(job):
                    actor = make_actor()
                    chunk = waiting.popleft()
                    task = actor.make.remote(chunk.index)
                    busy[task], actors[actor] = (actor, chunk), None
                done, _ = ray.wait(list(busy), num_returns=1, timeout=_POLL_SECONDS)
                for task in done:
                    heard = time.monotonic()
                    actor, chunk = busy.pop(task)
                    try:
                        event = ray.get(task)
                    except ray.exceptions.RayError as error:
                        actors.pop(actor)
                        _count_loss(lost, chunk, error)
                        waiting.appendleft(chunk)
                        continue
                    if isinstance(event, Failed):
                        raise event.error()
                    if store is not None:
                        store.take_chunk(event.result, folder, suffix=job.suffix)
                    yield event.result
                    if waiting:
                        chunk = waiting.popleft()
                        busy[actor.make.remote(chunk.index)] = (actor, chunk)
                    else:
                        ray.kill(actor)
                        actors.pop(actor)
                if self._tell(busy, progress):
                    heard = time.monotonic()
                elif time.monotonic() - heard > _ROOM_SECONDS:
                    raise JobError(f"the cluster has had no room for an actor for {_ROOM_SECONDS:.0f} s")
            if store is not None:
                store.clear()
        finally:
            for actor in actors:
                ray.kill(actor)

    def _room(self, job: Job) -> int:
        """Actors the cluster has resources for now; it may grow and shrink."""
        total = self._ray.cluster_resources()
        gpus = int(total.get("GPU", 0)) if job.identity.settings.device != "cpu" else 0
        room = gpus or int(total.get("CPU", 0) // job.threads)
        return max(1, room if self._workers is None else min(room, self._workers))

    def _store(self, job: Job, folder: Path) -> JobStore | None:
        if self._store_url is None:
            return None
        return JobStore(self._store_url, job=store_name(job, folder))

    def _actor_factory(self, job: Job, folder: Path, store: JobStore | None) -> Any:
        gpus = job.identity.settings.device != "cpu" and self._ray.cluster_resources().get("GPU", 0) >= 1
        resources = {"num_gpus": 1, "num_cpus": 1} if gpus else {"num_gpus": 0, "num_cpus": job.threads}
        remote = self._ray.remote(_ChunkActor).options(
            **resources,
            max_concurrency=2,  # one makes a chunk, one tells how far it is
            max_restarts=0,
            runtime_env={"env_vars": worker_environment(job.threads, {})},
        )
        return lambda: remote.remote(str(folder), store)

    def _tell(self, busy: dict[Any, tuple[Any, Chunk]], progress: Progress) -> bool:
        """Pass on how far the actors are; whether any answered."""
        questions = [actor.state.remote() for actor, _ in busy.values()]
        if not questions:
            return False
        answers, _ = self._ray.wait(questions, num_returns=len(questions), timeout=_POLL_SECONDS)
        heard = False
        for answer in answers:
            try:
                state = self._ray.get(answer)
            except self._ray.exceptions.RayError:
                continue  # its task tells the same
            heard = True
            if state is not None:
                progress(*state)
        return heard


def _check_address(address: str | None) -> None:
    """ExecutorError if nothing listens at host:port; Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # none, "auto", "local": Ray answers at once
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        text = error.strerror or str(error)
        raise ExecutorError(f"address={address!r}: no Ray cluster answers there ({text})") from None


class _ChunkActor:
    """Lives on a node: opens the job at its first chunk, then makes what it is told to."""

    def __init__(self, folder: str, store: JobStore | None) -> None:
        self._folder, self._store = Path(folder), store
        self._maker: ChunkMaker | None = None
        self._job: Job | None = None
        self._state: tuple[int, int, float] | None = None

    def make(self, index: int) -> Done | Failed:
        """Make a chunk; errors travel as what a worker would tell."""
        try:
            if self._maker is None or self._job is None:
                self._job = self._open()
                check_node(self._job)
                check_here(self._job.identity.settings)
                self._maker = ChunkMaker(self._job, self._folder)
                gc.freeze()  # as a local worker does
            result = self._maker.make(self._job.chunks[index], self._note)
            if self._store is not None:
                self._store.put_chunk(chunk_path(self._folder, index, self._job.suffix))
            return Done(result)
        except Exception as error:
            return Failed.of(error)
        finally:
            self._state = None  # else the chunk would be told of, and counted, again until the next one's first frame

    def state(self) -> tuple[int, int, float] | None:
        """Chunk, frames done and brightest pixel, or None before the first frame."""
        return self._state

    def _open(self) -> Job:
        if self._store is not None:
            self._scratch = tempfile.TemporaryDirectory(prefix="vsdslnet-")
            self._folder = Path(self._scratch.name)
            return self._store.fetch_job(self._folder)
        job = read_job(self._folder)
        if job is None:
            raise JobError(f"{self._folder}: is not seen by every node; put source and output on a shared path")
        otherwise = otherwise_here(job)
        if otherwise:
            raise JobError(f"{otherwise} on a node; put the source on a shared path")
        return job

    def _note(self, index: int, frames: int, max_nits: float) -> None:
        self._state = index, frames, max_nits


def _count_loss(lost: dict[int, int], chunk: Chunk, error: Exception) -> None:
    """JobError when a chunk was lost too often."""
    lost[chunk.index] = lost.get(chunk.index, 0) + 1
    if lost[chunk.index] >= _ATTEMPTS:
        raise JobError(f"chunk {chunk.index} was lost {_ATTEMPTS} times: {one_line(error)[:200]}")

"""The engine on many machines: Ray actors, each with the model loaded once, fed one chunk at a time.

The job's folder and the source have to lie on a path that every node sees; only indices and results travel
through Ray. A chunk whose node or actor is lost goes to another.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vsdslnet.encode.chunks import ChunkMaker, Progress
from vsdslnet.encode.job import JobPlan, read_plan
from vsdslnet.encode.journal import ChunkResult
from vsdslnet.encode.plan import Chunk
from vsdslnet.encode.probe import identify
from vsdslnet.encode.worker import Done, Failed
from vsdslnet.errors import EngineError, JobError

__all__ = ["RayEngine"]

# Times a chunk is tried when what works on it is lost.
_ATTEMPTS = 4
_POLL_SECONDS = 1.0
# Without a word from any actor and no room for one, a cluster is given this long to make room.
_ROOM_SECONDS = 300.0


class RayEngine:
    """Runs up to ``workers`` actors (as many as there is room for, if None) with ``threads`` cores each.

    Where the cluster has GPUs and the job may use them, an actor takes one of those instead of cores.
    """

    def __init__(self, *, address: str | None = None, workers: int | None = None, threads: int | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise EngineError("engine=ray is not installed; pip install vsdslnet[ray]") from None
        self._ray: Any = ray
        self._workers = workers
        self.threads = threads or 1
        if not ray.is_initialized():
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                text = " ".join(str(error).split())
                raise EngineError(f"address={address!r}: no Ray cluster answers there ({text})") from None

    def run(self, plan: JobPlan, folder: Path, chunks: Sequence[Chunk], progress: Progress) -> Iterator[ChunkResult]:
        """See :class:`~vsdslnet.encode.engine.ChunkEngine`."""
        ray = self._ray
        waiting = deque(chunks)
        lost: dict[int, int] = {}
        actors: dict[Any, Any] = {}
        busy: dict[Any, tuple[Any, Chunk]] = {}
        make_actor = self._actor_factory(plan, folder)
        heard = time.monotonic()
        try:
            while waiting or busy:
                while waiting and len(busy) < self._room(plan):
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
        finally:
            for actor in actors:
                ray.kill(actor)

    def _room(self, plan: JobPlan) -> int:
        """Actors the cluster has resources for now; it may grow and shrink."""
        total = self._ray.cluster_resources()
        gpus = int(total.get("GPU", 0)) if plan.identity.settings.device != "cpu" else 0
        room = gpus or int(total.get("CPU", 0) // plan.threads)
        return max(1, room if self._workers is None else min(room, self._workers))

    def _actor_factory(self, plan: JobPlan, folder: Path) -> Any:
        gpus = plan.identity.settings.device != "cpu" and self._ray.cluster_resources().get("GPU", 0) >= 1
        resources = {"num_gpus": 1, "num_cpus": 1} if gpus else {"num_gpus": 0, "num_cpus": plan.threads}
        remote = self._ray.remote(_ChunkActor).options(
            **resources,
            max_concurrency=2,  # one makes a chunk, one tells how far it is
            max_restarts=0,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(plan.threads)}},
        )
        return lambda: remote.remote(str(folder))

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


class _ChunkActor:
    """Lives on a node: opens the job at its first chunk, then makes what it is told to."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._maker: ChunkMaker | None = None
        self._plan: JobPlan | None = None
        self._state: tuple[int, int, float] | None = None

    def make(self, index: int) -> Done | Failed:
        """Make a chunk; errors travel as what a worker would tell."""
        try:
            if self._maker is None or self._plan is None:
                self._plan, self._maker = self._open()
            return Done(self._maker.make(self._plan.chunks[index], self._note))
        except Exception as error:
            return Failed.of(error)

    def state(self) -> tuple[int, int, float] | None:
        """Chunk, frames done and brightest pixel, or None before the first frame."""
        return self._state

    def _open(self) -> tuple[JobPlan, ChunkMaker]:
        plan = read_plan(self._folder)
        if plan is None:
            raise JobError(f"{self._folder}: is not seen by every node; put source and output on a shared path")
        if identify(Path(plan.source.path)) != plan.identity.source:
            raise JobError(f"{plan.source.path}: is another file on a node; put the source on a shared path")
        return plan, ChunkMaker(plan, self._folder)

    def _note(self, index: int, frames: int, max_nits: float) -> None:
        self._state = index, frames, max_nits


def _count_loss(lost: dict[int, int], chunk: Chunk, error: Exception) -> None:
    """JobError when a chunk was lost too often."""
    lost[chunk.index] = lost.get(chunk.index, 0) + 1
    if lost[chunk.index] >= _ATTEMPTS:
        raise JobError(f"chunk {chunk.index} was lost {_ATTEMPTS} times: {' '.join(str(error).split())[:200]}")

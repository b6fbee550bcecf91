"""Files of a job in one place that all nodes reach by URL, for clusters without a shared path.

Any fsspec URL serves: ``s3://bucket/folder`` (with s3fs), ``gs://``, ``file://`` on a mount that nodes see at
different places. The source and ``job.json`` go in once; each finished chunk comes out and is deleted there.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from pathlib import Path
from typing import Any

import msgspec

from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import ChunkResult, chunk_path, file_sha256, finish_durably
from vsdslnet.errors import ExecutorError, JobError, one_line

__all__ = ["JobStore", "store_name"]

_JOB, _SOURCE = "job.json", "source"


def store_name(job: Job, folder: Path) -> str:
    """A job's own folder in a store that many jobs share: films of one name, or one film converted twice, differ."""
    place = msgspec.json.encode((job.identity, str(folder.absolute())))
    return f"{folder.name}-{hashlib.sha256(place).hexdigest()[:16]}"


class JobStore:
    """One job's files under a URL. ExecutorError if nothing there answers or its driver is not installed."""

    def __init__(self, url: str, *, job: str) -> None:
        try:
            import fsspec

            self._files: Any
            self._files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ExecutorError(f"store={url!r}: {error}; for s3:// pip install 'vsdslnet[s3]'") from None
        self._url, self._root = url, f"{root.rstrip('/')}/{job}"

    def offer(self, job: Job) -> None:
        """Put the source and ``job.json`` there; a source of the same size, left by an earlier call, stays."""
        source = Path(job.source.path)
        if job.source.call is not None:
            raise ExecutorError(
                f"store={self._url!r}: carries no script with what it reads; use a path that all nodes see"
            )
        try:
            self._files.makedirs(self._root, exist_ok=True)
            there = self._at(_SOURCE + source.suffix)
            if not self._files.exists(there) or self._files.size(there) != source.stat().st_size:
                self._files.put_file(str(source), there)
            self._files.pipe_file(self._at(_JOB), msgspec.json.encode(job))
        except Exception as error:  # each fsspec driver has exceptions of its own
            raise ExecutorError(f"store={self._url!r}: can't be written to ({_told(error)})") from None

    def fetch_job(self, folder: Path) -> Job:
        """On a node: the job, whose source is a copy in ``folder``."""
        try:
            job = msgspec.json.decode(self._files.cat_file(self._at(_JOB)), type=Job)
            source = folder / (_SOURCE + Path(job.source.path).suffix)
            self._files.get_file(self._at(source.name), str(source))
        except Exception as error:
            raise JobError(
                f"store={self._url!r}: job.json and source can't be read on a node ({_told(error)})"
            ) from None
        return msgspec.structs.replace(job, source=msgspec.structs.replace(job.source, path=str(source)))

    def put_chunk(self, path: Path) -> None:
        """On a node: hand a finished chunk in, and keep no copy."""
        try:
            self._files.put_file(str(path), self._at(path.name))
        except Exception as error:
            raise JobError(f"store={self._url!r}: {path.name} can't be written on a node ({_told(error)})") from None
        path.unlink()

    def take_chunk(self, result: ChunkResult, folder: Path, *, suffix: str) -> None:
        """Move a chunk into the job's folder; JobError if it is not what its maker says it is."""
        final = chunk_path(folder, result.index, suffix)
        partial = final.with_name(f".{final.name}.{uuid.uuid4().hex}.partial")
        try:
            self._files.get_file(self._at(final.name), str(partial))
        except Exception as error:
            raise JobError(f"store={self._url!r}: chunk {result.index} can't be read ({_told(error)})") from None
        if file_sha256(partial) != result.sha256:
            partial.unlink()
            raise JobError(f"store={self._url!r}: chunk {result.index} is damaged; run the command again")
        finish_durably(partial, final)
        # What can't be deleted costs space there, and nothing here: the chunk is in the job's folder.
        with contextlib.suppress(Exception):
            self._files.rm_file(self._at(final.name))

    def clear(self) -> None:
        """Remove the job's files there, as far as that is allowed."""
        with contextlib.suppress(Exception):
            self._files.rm(self._root, recursive=True)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"


def _told(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")[:200]

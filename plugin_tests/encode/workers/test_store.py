"""The store: what goes in comes out, whole, and nothing of a job stays behind; also through an S3 server in-process."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("fsspec")

from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import ChunkResult, chunk_path, file_sha256
from vsdslnet.encode.prepare import prepare
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.given import given
from vsdslnet.encode.workers.store import JobStore, store_name
from vsdslnet.errors import ExecutorError, JobError


@pytest.fixture(params=["memory", "file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "memory":
        yield f"memory://{uuid.uuid4().hex}"
    elif request.param == "file":
        yield (tmp_path / "store").as_uri()
    else:
        yield from s3_bucket()


def s3_bucket() -> Iterator[str]:
    """A bucket of moto's server on a free port of this machine."""
    s3fs = pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    running.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_CA_BUNDLE", raising=False)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("films")
        yield "s3://films/jobs"
    running.stop()


@pytest.fixture
def job(clip: Path, settings: EncodeSettings, tmp_path: Path) -> Job:
    (tmp_path / "job").mkdir()
    return prepare(given(clip), tmp_path / "job", settings, threads=1, scanned=lambda frames, total: None).job


def made_chunk(folder: Path, job: Job) -> tuple[Path, ChunkResult]:
    path = chunk_path(folder, 0, job.suffix)
    path.write_bytes(b"pictures" * 1000)
    return path, ChunkResult(
        index=0,
        frames=job.chunks[0].frames,
        size_bytes=path.stat().st_size,
        sha256=file_sha256(path),
        frames_sha256="",
        max_nits=100.0,
        max_average_nits=10.0,
        seconds=1.0,
    )


def test_a_chunk_comes_back_whole_and_nothing_stays(url: str, job: Job, clip: Path, tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.mkdir()
    store = JobStore(url, job="film")
    store.offer(job)
    store.offer(job)  # a job that goes on

    there = JobStore(url, job="film").fetch_job(node)
    copy = Path(there.source.path)
    assert copy.parent == node
    assert copy.read_bytes() == clip.read_bytes()
    assert msgspec.structs.replace(there, source=job.source) == job

    path, result = made_chunk(node, job)
    data = path.read_bytes()
    store.put_chunk(path)
    assert not path.exists()
    store.take_chunk(result, tmp_path / "job", suffix=job.suffix)
    assert chunk_path(tmp_path / "job", 0, job.suffix).read_bytes() == data
    store.clear()
    assert not store._files.exists(store._root)


def test_a_damaged_chunk_is_not_taken(job: Job, tmp_path: Path) -> None:
    store = JobStore(f"memory://{uuid.uuid4().hex}", job="film")
    store.offer(job)
    path, result = made_chunk(tmp_path, job)
    store.put_chunk(path)
    with pytest.raises(JobError, match="chunk 0 is damaged"):
        store.take_chunk(msgspec.structs.replace(result, sha256="0"), tmp_path / "job", suffix=job.suffix)
    assert not list((tmp_path / "job").glob("*chunk*"))


def test_jobs_of_one_store_have_folders_of_their_own(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "out.mkv.vsdslnet"
    brighter = replace(job.identity.settings, peak_nits=600.0)
    other = msgspec.structs.replace(job, identity=msgspec.structs.replace(job.identity, settings=brighter))
    names = {
        store_name(job, folder),
        store_name(other, folder),
        store_name(job, tmp_path / "elsewhere" / folder.name),
    }
    assert len(names) == 3
    assert store_name(job, folder) == store_name(job, folder)  # a job that goes on finds its source there


def test_a_store_that_forbids_deleting_keeps_the_chunk_and_the_job(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JobStore(f"memory://{uuid.uuid4().hex}", job="film")
    store.offer(job)
    path, result = made_chunk(tmp_path, job)
    store.put_chunk(path)

    def forbidden(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Access Denied")

    monkeypatch.setattr(store._files, "rm_file", forbidden)
    monkeypatch.setattr(store._files, "rm", forbidden)
    store.take_chunk(result, tmp_path / "job", suffix=job.suffix)
    store.clear()
    assert file_sha256(chunk_path(tmp_path / "job", 0, job.suffix)) == result.sha256


def test_a_store_that_fails_on_a_node_is_one_line(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = JobStore(f"memory://{uuid.uuid4().hex}", job="film")
    with pytest.raises(JobError, match=r"^store='memory.*job.json and source can't be read on a node"):
        store.fetch_job(tmp_path)
    path, _ = made_chunk(tmp_path, job)

    def forbidden(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Access\nDenied")

    monkeypatch.setattr(store._files, "put_file", forbidden)
    with pytest.raises(JobError, match=r"^store='memory.*chunk-000000.hevc can't be written on a node") as caught:
        store.put_chunk(path)
    assert "\n" not in str(caught.value)
    assert path.exists()


def test_an_unknown_or_unreachable_store_is_one_line(job: Job, tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="store='nowhere://x'"):
        JobStore("nowhere://x", job="film")
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, not a folder")
    with pytest.raises(ExecutorError, match="can't be written to"):
        JobStore(blocked.as_uri(), job="film").offer(job)

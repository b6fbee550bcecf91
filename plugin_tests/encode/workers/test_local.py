"""Worker processes: replaced when they die, gone when the encode is gone, their errors known by type."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plugin_tests.encode.media import InProcessExecutor, decoded_video, make_clip
from vsdslnet.encode.chunk.maker import Progress
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import ChunkResult
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.workers.local import LocalExecutor
from vsdslnet.errors import BackendError, JobError, MediaError, WeightsError

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers through /proc")


def workers(parent: int | None = None) -> list[int]:
    """Process ids of the workers of a process."""
    tasks = Path(f"/proc/{parent or os.getpid()}/task")
    children = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    return [pid for pid in children if b"vsdslnet.encode.workers.process" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.fixture
def settings(settings: EncodeSettings) -> EncodeSettings:
    """Plain conversion: what is tested here is not the picture, and a network takes ten times as long."""
    return replace(settings, strength=0.0)


class Murderer(QuietReporter):
    """Kills the worker at the first frames of each of the first ``times`` chunks it hears of.

    ``with_torch``: how many of the killed had loaded PyTorch.
    """

    def __init__(self, times: int) -> None:
        self.left, self.with_torch = times, 0

    def working(self, index: int, frames: int, max_nits: float) -> None:
        if self.left:
            self.left -= 1
            for pid in workers():
                self.with_torch += b"libtorch" in Path(f"/proc/{pid}/maps").read_bytes()
                os.kill(pid, signal.SIGKILL)


def encode(source: Path, output: Path, settings: EncodeSettings, executor: Any, reporter: Any = None) -> None:
    encode_file(source, output, settings, executor=executor, reporter=reporter or QuietReporter())


def test_a_dead_worker_is_replaced_and_the_file_is_the_same(
    clip: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    encode(clip, tmp_path / "whole.mkv", settings, InProcessExecutor())
    murderer = Murderer(1)
    encode(clip, tmp_path / "out.mkv", settings, LocalExecutor(workers=2, threads=1), murderer)
    assert murderer.left == 0
    assert murderer.with_torch == 0, "plain conversion waits for nothing that it has no use for"
    assert decoded_video(tmp_path / "out.mkv") == decoded_video(tmp_path / "whole.mkv")
    assert workers() == []


def test_a_chunk_that_kills_every_worker_stops_the_job_in_one_line(
    clip: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    with pytest.raises(JobError, match=r"died 3 times in chunk \d, by signal SIGKILL") as caught:
        encode(clip, tmp_path / "out.mkv", settings, LocalExecutor(), Murderer(99))
    assert "\n" not in str(caught.value)
    assert workers() == []


@pytest.mark.timeout(60)
def test_a_worker_that_talks_nonsense_stops_the_job_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho nonsense\nexec sleep 600\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    job = cast(Job, SimpleNamespace(threads=1))
    with pytest.raises(JobError, match=r"died 3 times at its start, as it said what is no event: b'nonsense\\n'"):
        list(LocalExecutor(threads=1).run(job, tmp_path, [Chunk(0, 0, 8)], lambda index, frames, max_nits: None))


def test_what_the_network_would_run_on_is_no_matter_to_plain_conversion(settings: EncodeSettings) -> None:
    nowhere = replace(settings, device="cuda", device_index=63)
    LocalExecutor().check(nowhere)
    with pytest.raises(BackendError):
        LocalExecutor().check(replace(nowhere, saturation=1.1))
    with pytest.raises(WeightsError):
        LocalExecutor().check(replace(nowhere, model="no-such-model"))


class _WithoutSource:
    """The local executor, with the source gone before it starts."""

    threads = 1

    def check(self, settings: EncodeSettings) -> None:
        """Nothing is wrong with them."""

    def run(self, job: Job, folder: Path, chunks: Sequence[Chunk], progress: Progress) -> Iterator[ChunkResult]:
        Path(job.source.path).unlink()
        return LocalExecutor().run(job, folder, chunks, progress)


def test_an_error_in_a_worker_arrives_as_what_it_is(settings: EncodeSettings, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=10, audio=False)
    with pytest.raises(MediaError, match="can't be decoded") as caught:
        encode(source, tmp_path / "out.mkv", settings, _WithoutSource())
    assert type(caught.value) is MediaError
    deadline = time.monotonic() + 10
    while workers() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers() == []

"""What lives on a node, without a cluster: it counts no chunk twice, and makes none with other weights or programs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from plugin_tests.encode.results import synthetic_result
from vsdslnet.encode.chunk.encoders import Picture, open_encoder
from vsdslnet.encode.chunk.maker import ChunkMaker, Progress
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import ChunkResult, Journal
from vsdslnet.encode.prepare import prepare
from vsdslnet.encode.progress import _Tally
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.given import given
from vsdslnet.encode.workers.process import Done, Failed
from vsdslnet.encode.workers.ray_cluster import _ChunkActor
from vsdslnet.errors import JobError


@pytest.fixture
def job(clip: Path, settings: EncodeSettings, tmp_path: Path) -> Job:
    return prepare(given(clip), tmp_path, settings, threads=1, scanned=lambda frames, total: None).job


class _InstantMaker:
    """Says that it has made a chunk."""

    def make(self, chunk: Chunk, progress: Progress) -> ChunkResult:
        progress(chunk.index, chunk.frames, 100.0)
        return synthetic_result(chunk.index, frames=chunk.frames, max_nits=100.0)


def test_a_finished_chunk_is_not_counted_as_being_worked_on(job: Job, tmp_path: Path) -> None:
    actor = _ChunkActor(str(tmp_path), None)
    actor._job, actor._maker = job, cast(ChunkMaker, _InstantMaker())
    tally = _Tally(job, Journal(tmp_path, suffix=job.suffix))
    event = actor.make(0)
    assert isinstance(event, Done)
    tally.finished(event.result)
    state = actor.state()
    if state is not None:
        tally.working(*state)
    assert tally.frames == job.chunks[0].frames


def _written(job: Job, tmp_path: Path, **changes: Any) -> _ChunkActor:
    """An actor for a job whose head had another identity."""
    begun = msgspec.structs.replace(job, identity=msgspec.structs.replace(job.identity, **changes))
    (tmp_path / "job.json").write_bytes(msgspec.json.encode(begun))
    return _ChunkActor(str(tmp_path), None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_sha256": "0"}, "the model has changed"),
        ({"tools": "vsdslnet 0, x265 program"}, "the programs have changed (vsdslnet 0, x265 program ->"),
    ],
)
def test_a_node_with_another_model_or_other_programs_makes_nothing(
    changes: dict[str, str], says: str, job: Job, tmp_path: Path
) -> None:
    event = _written(job, tmp_path, **changes).make(0)
    assert isinstance(event, Failed)
    assert event.kind == "JobError"
    assert event.text.startswith("node ")
    assert says in event.text


def test_a_node_without_the_model_says_so(job: Job, tmp_path: Path) -> None:
    settings = replace(job.identity.settings, model=str(tmp_path / "missing.safetensors"))
    event = _written(job, tmp_path, settings=settings).make(0)
    assert isinstance(event, Failed)
    assert event.kind == "JobError"
    assert "missing.safetensors': there is no such file" in event.text


def test_a_node_that_cannot_run_the_network_as_asked_says_so(job: Job, tmp_path: Path) -> None:
    settings = replace(job.identity.settings, precision="fp16", device="cpu")
    event = _written(job, tmp_path, settings=settings).make(0)
    assert isinstance(event, Failed)
    assert event.kind == "BackendError"
    assert "fp16" in event.text


def test_a_program_that_is_not_there_is_named(
    settings: EncodeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    picture = Picture(width=64, height=64, frame_rate=Fraction(24), sample_aspect=Fraction(1))
    with pytest.raises(JobError, match="no x265 program on the PATH; install it"):
        open_encoder("x265 program, 4.1", settings, picture=picture, frames=8, path=tmp_path / "chunk")


def test_a_model_by_its_path_is_found_from_any_folder(
    clip: Path, settings: EncodeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Path(settings.model)
    monkeypatch.chdir(model.parent)
    relative = replace(settings, model=model.name)
    job = prepare(given(clip), tmp_path, relative, threads=1, scanned=lambda frames, total: None).job
    assert job.identity.settings.model == str(model)


def test_a_node_evaluates_the_script_and_knows_what_it_reads(
    clip: Path, settings: EncodeSettings, tmp_path: Path
) -> None:
    path, frames = tmp_path / "film.vpy", tmp_path / "frames.txt"
    frames.write_text("16")
    text = "from vapoursynth import core\nclip = core.bs.VideoSource(source, cachemode=0)\n"
    path.write_text(f"{text}clip[:int(open('frames.txt').read())].set_output()\n")
    plain = replace(settings, strength=0.0, chunk_frames=8)
    folder = tmp_path / "job"
    folder.mkdir()
    script = given(path, arguments={"source": str(clip)})
    job = prepare(script, folder, plain, threads=1, scanned=lambda frames, total: None).job
    assert job.frames == 16
    event = _ChunkActor(str(folder), None).make(1)
    assert isinstance(event, Done)
    assert event.result == replace_seconds(ChunkMaker(job, folder).make(job.chunks[1], lambda *_: None), event.result)
    frames.write_text("48")
    event = _ChunkActor(str(folder), None).make(0)
    assert isinstance(event, Failed)
    assert "frames.txt, which the script names, has changed on a node" in event.text


def replace_seconds(result: ChunkResult, like: ChunkResult) -> ChunkResult:
    """The result as if it had taken as long as another."""
    return msgspec.structs.replace(result, seconds=like.seconds)

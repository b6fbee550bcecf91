"""Many machines: two nodes, one of them killed half-way, and the file is what one process makes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plugin_tests.encode.media import InProcessExecutor, decoded_video, make_clip, packets
from vsdslnet.encode.job.journal import ChunkResult
from vsdslnet.encode.progress import QuietReporter
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import ExecutorError

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """A head that computes nothing."""
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


@pytest.fixture
def cluster(machines: Any) -> Iterator[Any]:
    """The head with two nodes of one core each, whatever tests before have killed."""
    while len(machines.worker_nodes) < 2:
        machines.add_node(num_cpus=1, env_vars=dict(os.environ))
    machines.wait_for_nodes()
    yield machines
    ray.shutdown()


@pytest.fixture(scope="module")
def made_here(clip: Path, small_model: str, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The picture of the clip as this process makes it."""
    film = tmp_path_factory.mktemp("here") / "here.mkv"
    settings = EncodeSettings(model=small_model, preset="draft", encoder="av", chunk_frames=16)
    encode_file(clip, film, settings, executor=InProcessExecutor(), reporter=QuietReporter())
    return decoded_video(film)


class NodeKiller(QuietReporter):
    """Kills a node as soon as one chunk is finished."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.killed = False
        self.finished_after = 0

    def finished(self, result: ChunkResult) -> None:
        if self.killed:
            self.finished_after += 1
        else:
            self.killed = True
            self.cluster.remove_node(list(self.cluster.worker_nodes)[-1], allow_graceful=False)


def test_a_killed_node_costs_nothing_but_time(
    cluster: Any, clip: Path, settings: EncodeSettings, made_here: list[bytes], tmp_path: Path
) -> None:
    from vsdslnet.encode.workers.ray_cluster import RayExecutor

    killer = NodeKiller(cluster)
    executor = RayExecutor(address=cluster.address, threads=1)
    encode_file(clip, tmp_path / "ray.mkv", settings, executor=executor, reporter=killer)
    assert killer.killed
    assert killer.finished_after >= 2
    assert decoded_video(tmp_path / "ray.mkv") == made_here


def test_nodes_without_a_shared_path_work_through_a_store(
    cluster: Any, clip: Path, settings: EncodeSettings, made_here: list[bytes], tmp_path: Path
) -> None:
    from vsdslnet.encode.workers.ray_cluster import RayExecutor

    store = tmp_path / "store"
    executor = RayExecutor(address=cluster.address, threads=1, store=store.as_uri())
    encode_file(clip, tmp_path / "ray.mkv", settings, executor=executor, reporter=QuietReporter())
    assert list(store.iterdir()) == []
    assert decoded_video(tmp_path / "ray.mkv") == made_here


def test_every_node_evaluates_a_script(cluster: Any, clip: Path, settings: EncodeSettings, tmp_path: Path) -> None:
    from vsdslnet.encode.workers.ray_cluster import RayExecutor

    script = tmp_path / "film.vpy"
    script.write_text(
        "import os\nfrom vapoursynth import core\n"
        "core.bs.VideoSource(os.path.join(os.environ['PWD'], source), cachemode=0).std.FlipVertical().set_output()\n"
    )
    plain = replace(settings, strength=0.0)
    beside = {"tracks": clip, "script_args": {"source": os.path.relpath(clip)}}
    executor = RayExecutor(address=cluster.address, threads=1)
    encode_file(script, tmp_path / "ray.mkv", plain, executor=executor, **beside)
    encode_file(script, tmp_path / "here.mkv", plain, executor=InProcessExecutor(), **beside)
    assert decoded_video(tmp_path / "ray.mkv") == decoded_video(tmp_path / "here.mkv")
    with pytest.raises(ExecutorError, match="carries no script"):
        stored = RayExecutor(address=cluster.address, threads=1, store=(tmp_path / "store").as_uri())
        encode_file(script, tmp_path / "store.mkv", plain, executor=stored, **beside)


def test_mezzanines_are_the_local_executor_s(cluster: Any, tmp_path: Path) -> None:
    """Their chunks are other files than a delivery's: ProRes goes along the shared path, EXR through a store."""
    from vsdslnet.encode.workers.ray_cluster import RayExecutor

    clip = make_clip(tmp_path / "clip.mkv", frames=16, width=64, height=32)
    movie, pictures = (EncodeSettings(codec=codec, strength=0.0, chunk_frames=8) for codec in ("prores", "exr"))
    here, shared = InProcessExecutor(), RayExecutor(address=cluster.address, workers=1, threads=1)
    stored = RayExecutor(address=cluster.address, workers=1, threads=1, store=(tmp_path / "store").as_uri())
    for name, for_movie, for_pictures in (("here", here, here), ("ray", shared, stored)):
        folder = tmp_path / name
        folder.mkdir()
        encode_file(clip, folder / "film.mov", movie, executor=for_movie, reporter=QuietReporter())
        encode_file(clip, folder / "film/%06d.exr", pictures, executor=for_pictures, reporter=QuietReporter())
    assert packets(tmp_path / "ray/film.mov", "video") == packets(tmp_path / "here/film.mov", "video")
    wanted = {path.name: path.read_bytes() for path in (tmp_path / "here/film").iterdir()}
    assert len(wanted) == 17, "pictures, and what is said of them"
    assert {path.name: path.read_bytes() for path in (tmp_path / "ray/film").iterdir()} == wanted


def test_a_wrong_address_is_an_executor_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from vsdslnet.encode.workers.ray_cluster import RayExecutor

    with pytest.raises(ExecutorError, match="no Ray cluster answers"):
        RayExecutor(address="127.0.0.1:1")

"""Many machines: two nodes, one of them killed half-way, and the file is what one process makes."""

from __future__ import annotations

import os
from collections.abc import Iterator
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
    """A head of one core."""
    node: dict[str, Any] = {"num_cpus": 1, "env_vars": dict(os.environ)}
    alone = {"include_dashboard": False, "include_log_monitor": False}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=node | alone)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def cluster(machines: Any) -> Iterator[Any]:
    """The head with another node of one core, whatever tests before have killed."""
    if not machines.worker_nodes:
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


def test_every_node_evaluates_a_script_and_its_prores_lies_on_the_shared_path(
    cluster: Any, clip: Path, tmp_path: Path
) -> None:
    from vsdslnet.encode.workers.ray_cluster import RayExecutor

    script = tmp_path / "film.vpy"
    script.write_text(
        "import os\nfrom vapoursynth import core\n"
        "core.bs.VideoSource(os.path.join(os.environ['PWD'], source), cachemode=0).std.FlipVertical().set_output()\n"
    )
    movie = EncodeSettings(codec="prores", strength=0.0, chunk_frames=16)
    beside = {"tracks": clip, "script_args": {"source": os.path.relpath(clip)}}
    executor = RayExecutor(address=cluster.address, threads=1)
    encode_file(script, tmp_path / "ray.mov", movie, executor=executor, **beside)
    encode_file(script, tmp_path / "here.mov", movie, executor=InProcessExecutor(), **beside)
    assert packets(tmp_path / "ray.mov", "video") == packets(tmp_path / "here.mov", "video")
    with pytest.raises(ExecutorError, match="carries no script"):
        stored = RayExecutor(address=cluster.address, threads=1, store=(tmp_path / "store").as_uri())
        encode_file(script, tmp_path / "store.mov", movie, executor=stored, **beside)


def test_nodes_without_a_shared_path_work_through_a_store(cluster: Any, tmp_path: Path) -> None:
    """What a picture a frame is made of is another chunk than a delivery's."""
    from vsdslnet.encode.workers.ray_cluster import RayExecutor

    clip, store = make_clip(tmp_path / "clip.mkv", frames=16, width=64, height=32), tmp_path / "store"
    pictures = EncodeSettings(codec="exr", strength=0.0, chunk_frames=8)
    stored = RayExecutor(address=cluster.address, threads=1, store=store.as_uri())
    for name, executor in (("here", InProcessExecutor()), ("ray", stored)):
        encode_file(clip, tmp_path / name / "%06d.exr", pictures, executor=executor, reporter=QuietReporter())
    assert list(store.iterdir()) == []
    wanted = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert len(wanted) == 17, "pictures, and what is said of them"
    assert {path.name: path.read_bytes() for path in (tmp_path / "ray").iterdir()} == wanted


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


def test_a_wrong_address_is_an_executor_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from vsdslnet.encode.workers.ray_cluster import RayExecutor

    with pytest.raises(ExecutorError, match="no Ray cluster answers"):
        RayExecutor(address="127.0.0.1:1")

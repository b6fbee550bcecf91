"""What every test may need: a core with core.dslnet, a small network, a way to run scripts."""

from __future__ import annotations

import faulthandler
import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from plugin_tests.paths import ROOT
from plugin_tests.small_network import save_small_network
from vsdslnet.encode.chunk.scheduling import ordinary_scheduling

EXIT_SECONDS = 120
# Each takes a gigabyte or so.
MOST_WORKERS = 4


@pytest.hookimpl
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Everything runs in a process for each core; what somebody names runs here, where it starts at once."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return 0
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    workers = min(cores, MOST_WORKERS)
    # Threads of several workers on the same cores would wait for each other, spinning.
    os.environ.setdefault("OMP_NUM_THREADS", str(cores // workers))
    return workers


@pytest.hookimpl
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: the workers then end together, each with tests that take no time."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl
def pytest_collection_finish() -> None:
    """What was imported stays, so that no collection of garbage has to look through it.

    VapourSynth's ``frames()`` collects all each time it ends (findings/vapoursynth-frames-collects-garbage.sh): a third
    of a second here, where the modules of all tests are.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that opens SVT-AV1 as root would leave its worker real-time, and the other one starved, to the end."""
    with ordinary_scheduling():
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """A process that does not end after its tests says where its threads are, and fails."""
    gc.unfreeze()  # nanobind counts what is left at the end
    faulthandler.dump_traceback_later(EXIT_SECONDS, exit=True, file=sys.__stderr__)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The plugin's library, built from this checkout, or None where an installed one loads by itself."""
    import vapoursynth as vs

    if hasattr(vs.core, "dslnet"):
        return None
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("core.dslnet is not installed and there is no C compiler to build it")
    library = tmp_path_factory.mktemp("shim") / "dslnet.so"
    include = Path(vs.__file__).with_name("include")
    sources = sorted((ROOT / "vsdslnet" / "native").glob("*.c"))
    flags = ["-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden"]
    subprocess.run([compiler, *flags, f"-I{include}", *sources, "-o", library, "-ldl", "-lm"], check=True)
    return library


@pytest.fixture(scope="session")
def core(shim: Path | None) -> Any:
    """The VapourSynth core with core.dslnet."""
    import vapoursynth as vs

    if not hasattr(vs.core, "dslnet"):
        vs.core.std.LoadPlugin(str(shim))
    return vs.core


@pytest.fixture
def threads(core: Any) -> Iterator[Callable[[int], None]]:
    """Sets the core's thread count; put back afterwards."""
    before = core.num_threads

    def use(count: int) -> None:
        core.num_threads = count

    yield use
    core.num_threads = before


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a small DSLNet whose corrections are not zero: 5 frames, 8 features."""
    return str(save_small_network(tmp_path_factory.mktemp("model") / "small.safetensors"))


@pytest.fixture(scope="session")
def prelude(shim: Path | None) -> str:
    """First lines of a script for another process: vs and a core with core.dslnet."""
    load = f"core.std.LoadPlugin({str(shim)!r})" if shim else ""
    return f"import vapoursynth as vs\ncore = vs.core\n{load}\n"


@pytest.fixture(scope="session")
def script_env() -> dict[str, str]:
    """Environment in which another process finds this checkout."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # vspipe asks the first python on the PATH where its libpython is
    programs = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PATH": os.pathsep.join(programs)}


@pytest.fixture
def plugin_in_children(shim: Path | None, script_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes started by a test find this checkout and, where it is not installed, the plugin."""
    monkeypatch.setenv("PYTHONPATH", script_env["PYTHONPATH"])
    if shim is not None:
        monkeypatch.setenv("VAPOURSYNTH_EXTRA_PLUGIN_PATH", str(shim.parent))


@pytest.fixture
def ctrl_c_heard() -> Iterator[None]:
    """Children hear Ctrl-C, even where tests run as a shell's background job: that ignores it, and children inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run_script(prelude: str, script_env: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python source, after the prelude, in a process of its own."""

    def run(source: str, *, timeout_seconds: float = 280, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", prelude + source],
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=script_env | env,
            check=False,
        )

    return run

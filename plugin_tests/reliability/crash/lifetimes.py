"""Cores, processes and long clips that begin and end: no crash, no hang, nothing left behind.

    python -m plugin_tests.reliability.crash.lifetimes MODEL SCENE=COUNT ...

Scenes of one process follow each other; each says what it measured in a line of JSON.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import vapoursynth as vs

from plugin_tests.reliability.children import how_it_ended, run_module
from plugin_tests.reliability.conformance.order import digest
from plugin_tests.reliability.crash.cores import Cores
from plugin_tests.reliability.figures import Figure, Options, at_most, exactly, none_of
from plugin_tests.small_network import save_small_network

__all__ = ["measure"]

HANG_SECONDS = 100
_RSS_BOUND_MIB = 16.0
Scene = Callable[[str, int], dict[str, Any]]


def convert(model: str, *, size: int = 32, length: int = 40, **arguments: Any) -> Any:
    """A plain clip through Convert in the current core."""
    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=size, height=size, length=length)
    return vs.core.dslnet.Convert(clip, model=model, **arguments)


def pending_at_exit(model: str, count: int) -> dict[str, Any]:
    """The interpreter ends while ``count`` frames are asked for."""
    clip = convert(model, length=count, num_streams=2)
    clip.get_frame(0).close()
    globals()["kept"] = [clip.get_frame_async(n) for n in range(1, count)]
    return {}


@cache
def the_cores() -> Cores:
    """Of the process: there is one policy in it."""
    return Cores()


def pending_at_free(model: str, count: int) -> dict[str, Any]:
    """``count`` cores are freed while frames are pending in each."""
    cores = the_cores()
    for _ in range(count):
        with cores.core():
            clip = convert(model, num_streams=2)
            clip.get_frame(0).close()
            pending = [clip.get_frame_async(n) for n in range(1, 20)]
            del clip
        with suppress(vs.Error):
            pending[-1].result(timeout=HANG_SECONDS)
        del pending
    return {}


def many_cores(model: str, count: int) -> dict[str, Any]:
    """``count`` cores in one process, a thread each, all at once: the same frames from all."""
    cores = the_cores()
    found: list[bytes] = []

    def work() -> None:
        with cores.core():
            clip = convert(model, length=6)
            frames = b"".join(digest(frame) for frame in clip.frames())
            found.append(frames)
            del clip
            gc.collect()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"cores": len(found), "pictures": len(set(found))}


def cycles(model: str, count: int) -> dict[str, Any]:
    """``count`` cores made, used and freed one after the other: does memory grow?"""
    cores = the_cores()
    samples = []
    for _ in range(count):
        with cores.core():
            clip = convert(model, length=3)
            clip.get_frame(1).close()
            del clip
            gc.collect()
        samples.append(own_mib())
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    quarter = max(1, len(samples) // 4)
    return {"cycles": len(samples), "grown_mib": mean(samples[-quarter:]) - mean(samples[quarter : 2 * quarter])}


def long_clip(model: str, count: int) -> dict[str, Any]:
    """``count`` frames in a core that counts its frames: does memory grow, is a frame left behind?"""
    cores = the_cores()
    samples = []
    with cores.core(flags=vs.CoreCreationFlags.ENABLE_FRAME_REF_DEBUG):
        vs.core.max_cache_size = 16
        clip = convert(model, length=count, num_streams=2)
        for n, frame in enumerate(clip.frames(prefetch=4, close=True)):
            if n % 50 == 0:
                samples.append(own_mib())
                faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            del frame
        del clip
        held = frames_held(cores)
    fifth = max(1, len(samples) // 5)
    grown = mean(samples[-fifth:]) - mean(samples[fifth : 2 * fifth])
    said = [text for text in cores.log if text.startswith("Core freed but")]
    return {"frames": count, "grown_mib": grown, "held": held, "said": said}


def frames_held(cores: Cores) -> int:
    """Frames alive in the current core besides the one asked for; it lists them with each frame it delivers."""
    for _ in range(50):  # the thread that made the last frame may still be letting go of it
        gc.collect()
        vs.core.clear_cache()
        cores.log.clear()
        vs.core.std.BlankClip(length=1).get_frame(0).close()
        listed = [int(found[1]) for text in cores.log if (found := re.search(r"num frames: (\d+)", text))]
        # The core logs from threads of its own: on a busy machine the list may come late.
        if listed[-1:] == [1]:
            return 0
        time.sleep(0.1)
    if not listed:
        raise RuntimeError("the core has not listed its frames")
    return listed[-1] - 1


SCENES: dict[str, Scene] = {
    scene.__name__: scene for scene in (pending_at_exit, pending_at_free, many_cores, cycles, long_clip)
}


def own_mib() -> float:
    """Memory of our own, wherever the system keeps it (a busy machine moves library pages in and out)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "VmSwap")) / 1024


def mean(values: list[float]) -> float:
    """Arithmetic."""
    return sum(values) / len(values)


def measure(options: Options) -> list[Figure]:
    """All scenes; those that need /proc only where it is."""
    model = save_small_network(options.folder / "lifetimes.safetensors", tiny=True)
    quick = options.quick

    def play(**scenes: int) -> list[dict[str, Any]]:
        words = [f"{scene}={count}" for scene, count in scenes.items()]
        done = run_module(__name__, model, *words, timeout_seconds=3000, anew=True)
        if done.returncode:
            return [{"fault": how_it_ended(done)}] * len(scenes)
        return [json.loads(line) for line in done.stdout.splitlines()[-len(scenes) :]]

    pendings = [40] if quick else [2, 5, 10, 20, 40, 80, 160, 320]
    exits = [found for pending in pendings for found in play(pending_at_exit=pending)]
    frees = 2 if quick else 40
    scenes = {"pending_at_free": frees, "many_cores": 3 if quick else 8}
    if Path("/proc/self/status").exists():
        scenes |= {"cycles": 12 if quick else 200, "long_clip": 300 if quick else 10_000}
    freed, cores, *measured = play(**scenes)
    figures = [
        none_of("interpreters exit with frames pending", faults(exits), len(exits), "exits"),
        none_of("cores are freed with frames pending", faults([freed]), frees, "cores"),
        exactly(
            f"{3 if quick else 8} cores at once in a process, different pictures",
            cores.get("fault", cores.get("pictures")),
            1,
        ),
    ]
    if not measured:
        return figures
    rounds, long = measured
    return [
        *figures,
        at_most(f"{rounds.get('cycles', 0)} cores made, used and freed, memory grown", *grown(rounds)),
        at_most(f"{long.get('frames', 0):,} frames, memory grown after the first fifth", *grown(long)),
        exactly("frames still referenced when the clip is gone", long.get("held", long.get("fault")), 0),
        exactly("complaints of the core when it is freed", len(long.get("said", faults([long]))), 0),
    ]


def faults(found: list[dict[str, Any]]) -> list[str]:
    """How those ended that did not end well."""
    return [scene["fault"] for scene in found if "fault" in scene]


def grown(found: dict[str, Any]) -> tuple[float, float, str]:
    """Mebibytes, bound and unit; infinite for a scene that died."""
    return found.get("grown_mib", float("inf")), _RSS_BOUND_MIB, found.get("fault", "MiB")


def main() -> None:
    """Play the scenes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("scenes", nargs="+", metavar="scene=count", help=", ".join(SCENES))
    arguments = parser.parse_args()
    for words in arguments.scenes:
        scene, _, count = words.partition("=")
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        print(json.dumps(SCENES[scene](arguments.model, int(count))), flush=True)
    # Left armed: the process has to end by itself as well.


if __name__ == "__main__":
    main()

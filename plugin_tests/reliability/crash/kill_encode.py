"""Kills an encode's whole process tree at random moments and sees that nothing is lost.

    python -m plugin_tests.reliability.crash.kill_encode --kills 100

After each kill the journal's finished chunks must stay untouched by what follows; after every few kills the
encode is let through and its picture compared, decoded, with that of an encode never interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from plugin_tests.command_line import CommandUnderWay
from plugin_tests.encode.media import decoded_video, make_clip
from plugin_tests.reliability.figures import Figure, Options, none_of
from plugin_tests.small_network import save_small_network

# Kills in a row before an encode is let through.
KILLS_A_FILE = 4


def start(source: Path, output: Path, options: list[str]) -> CommandUnderWay:
    """Forked, so that a kill meets the encode and not the seconds before, which imports take."""
    return CommandUnderWay("encode", source, "-o", output, "-q", *options)


def finished_chunks(output: Path) -> dict[str, tuple[int, int]]:
    """Inode and modification time of each chunk file that the journal calls finished."""
    folder = output.with_name(f"{output.name}.vsdslnet")
    journal = folder / "journal.jsonl"
    if not journal.exists():
        return {}
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    paths = [folder / f"chunk-{entry['index']:06d}.hevc" for entry in entries if entry["type"] == "chunk"]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths if path.exists()}


def assert_no_orphans(session: int) -> None:
    """Nothing of a killed session may live on."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        alive = [stat for stat in Path("/proc").glob("[0-9]*/stat") if _session(stat) == session]
        if not alive:
            return
        time.sleep(0.05)
    raise AssertionError(f"processes of session {session} are still alive")


def _session(stat: Path) -> int | None:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[3])


def run(
    *, kills: int, folder: Path, model: str, seed: int, frames: int = 40, whole_tree: bool = True, plain: bool = False
) -> dict[str, int]:
    """Kill ``kills`` times; AssertionError if anything is lost. Returns what was met, counted.

    ``plain``: without the network, whose import is most of a short encode and what few kills would meet then.
    """
    rng = random.Random(seed)
    source = make_clip(folder / "in.mkv", frames=frames)
    options = ["--model", model, "--chunk-frames", "8", "--preset", "draft", "--encoder", "av"]
    options += ["--strength", "0"] if plain else []
    began = time.monotonic()
    assert start(source, folder / "whole.mkv", options).wait() == 0
    whole_seconds = time.monotonic() - began
    whole = decoded_video(folder / "whole.mkv")
    output = folder / "out.mkv"
    met = {"kills": 0, "files": 0, "kills with finished chunks": 0, "ended before the kill": 0}
    in_a_row = 0
    while met["kills"] < kills or in_a_row:
        kept = finished_chunks(output)
        process = start(source, output, options)
        let_through = in_a_row == KILLS_A_FILE or met["kills"] == kills
        try:
            code = process.wait(None if let_through else rng.uniform(0, whole_seconds))
        except subprocess.TimeoutExpired:
            # The whole tree at once, or only the parent: then the workers have to notice.
            (os.killpg if whole_tree or rng.random() < 0.5 else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
            assert_no_orphans(process.pid)
            met["kills"] += 1
            in_a_row += 1
            met["kills with finished chunks"] += bool(finished_chunks(output))
            print(json.dumps(met), file=sys.stderr, flush=True)
        else:
            assert code == 0, f"exit code {code}"
            assert decoded_video(output) == whole, "the picture differs from the uninterrupted one"
            assert not output.with_name("out.mkv.vsdslnet").exists()
            met["files"] += 1
            met["ended before the kill"] += not let_through
            output.unlink()
            in_a_row = 0
            continue
        after = finished_chunks(output)
        if output.exists() and not after:  # killed after its last name: complete, though it could not say so
            assert decoded_video(output) == whole, "the picture differs from the uninterrupted one"
            met["files"] += 1
            output.unlink()
            shutil.rmtree(output.with_name("out.mkv.vsdslnet"), ignore_errors=True)
            in_a_row = 0
        elif not output.exists():
            assert kept.items() <= after.items(), "a finished chunk was made again"
    return met


def measure(options: Options) -> list[Figure]:
    """The promise, with a small network."""
    kills = 3 if options.quick else 30
    model = save_small_network(options.folder / "kills.safetensors", cheapest=True)
    words = "killed encodes go on, finished chunks are kept, and the picture is the uninterrupted one's"
    try:
        met = run(kills=kills, folder=options.folder, model=str(model), seed=3, whole_tree=False, plain=options.quick)
    except AssertionError as error:
        return [none_of(words, [str(error)], kills, "kills")]
    return [none_of(words, [], met["kills"], f"kills ({met['files']} files finished)")]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--frames", type=int, default=40, help="of the clip; chunks have 8")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="dslnet", help="a small one makes this quick")
    parser.add_argument("--only-parent-too", action="store_true", help="half the kills spare the workers")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill_encode"))
    try:
        print(
            run(
                kills=arguments.kills,
                folder=folder,
                model=arguments.model,
                seed=arguments.seed,
                frames=arguments.frames,
                whole_tree=not arguments.only_parent_too,
            )
        )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

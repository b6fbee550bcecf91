"""Damaged media files through an encode: a whole file, or one line and no file under the final name.

    python -m plugin_tests.reliability.fuzz.media_files FOLDER --first 0

Encodes run one after the other in one process; the parent starts another behind a file that took it along.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import av

from plugin_tests.reliability.children import how_it_ended, run_module
from plugin_tests.reliability.figures import Figure, Options, none_of
from plugin_tests.small_network import save_small_network

__all__ = ["measure"]

HANG_SECONDS = 120
_FRAMES = 14
TRUNCATIONS, MUTATIONS = 20, 200


def measure(options: Options) -> list[Figure]:
    """The promises, from processes that may die of them."""
    from plugin_tests.encode.media import make_clip

    folder = options.folder
    good = make_clip(folder / "good.mkv", frames=_FRAMES, width=64, height=48).read_bytes()
    save_small_network(folder / "media.safetensors", cheapest=True)
    files = list(damaged(good))[:: 22 if options.quick else 1]
    for number, (_, data) in enumerate(files):
        (folder / f"{number:03}.mkv").write_bytes(data)
    found: Counter[str] = Counter()
    failures: list[str] = []
    first = 0
    while first < len(files):
        done = run_module(__name__, folder, "--first", first, timeout_seconds=3000)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for line in lines:
            found[line["outcome"]] += 1
            failures += [f"{files[line['number']][0]}: {line['fault']}"] if line["fault"] else []
        first += len(lines)
        if done.returncode and first < len(files):
            failures.append(f"{files[first][0]}: crash or hang: {how_it_ended(done)}")
            first += 1
    words = f"files ({found['finished']} finished, {found['stopped']} stopped)"
    return [none_of("damaged media files end in a whole file, or one line and no file", failures, len(files), words)]


def damaged(good: bytes) -> list[tuple[str, bytes]]:
    """20 truncations and 200 mutations of a file, by name."""
    rng = random.Random(6)
    found = [
        (f"cut to {size} bytes", good[:size]) for size in sorted([0, *rng.sample(range(len(good)), TRUNCATIONS - 1)])
    ]
    for number in range(MUTATIONS):
        data = bytearray(good)
        # Half of the damage lies in the header, where it confuses most.
        end = len(data) if number % 2 else min(len(data), 2000)
        for _ in range(rng.choice([1, 1, 3, 10, 50])):
            data[rng.randrange(end)] ^= 1 << rng.randrange(8)
        found.append((f"mutation {number}", bytes(data)))
    return found


def encode_one(source: Path, output: Path, model: Path) -> tuple[str, str]:
    """Encode; the outcome and what is wrong with it, if anything."""
    from plugin_tests.encode.media import InProcessExecutor
    from vsdslnet.encode.progress import QuietReporter
    from vsdslnet.encode.run import encode_file
    from vsdslnet.encode.settings import EncodeSettings
    from vsdslnet.errors import DslnetError

    settings = EncodeSettings(model=str(model), preset="draft", encoder="av", chunk_frames=8)
    try:
        done = encode_file(source, output, settings, executor=InProcessExecutor(), reporter=QuietReporter())
    except DslnetError as error:
        text = str(error)
        if output.exists():
            return "stopped", f"left a file under the final name: {text:.150}"
        return "stopped", "" if text.strip() and "\n" not in text else f"not one line: {text!r:.150}"
    except Exception as error:
        return "stopped", f"{type(error).__name__} instead of an error of ours: {error!s:.150}"
    return "finished", whole(output, done.frames)


def whole(path: Path, frames: int) -> str:
    """What is wrong with a finished file, or nothing."""
    try:
        with av.open(str(path)) as container:
            decoded = sum(1 for _ in container.decode(video=0))
    except av.FFmpegError as error:
        return f"finished, but can't be decoded: {error}"
    return "" if decoded == frames > 0 else f"finished with {decoded} of {frames} frames"


def main() -> None:
    """Encode the folder's files from the first asked for; a line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    av.logging.set_level(None)
    for source in sorted(arguments.folder.glob("[0-9][0-9][0-9].mkv"))[arguments.first :]:
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        output = arguments.folder / f"{source.stem}.out.mkv"
        outcome, fault = encode_one(source, output, arguments.folder / "media.safetensors")
        line: dict[str, Any] = {"number": int(source.stem), "outcome": outcome, "fault": fault}
        print(json.dumps(line), flush=True)
        output.unlink(missing_ok=True)
        shutil.rmtree(output.with_name(f"{output.name}.vsdslnet"), ignore_errors=True)
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()

"""Files in situations that people report, into every container: converted, or refused before the first frame.

    python -m plugin_tests.reliability.fuzz.situations FOLDER

prints a line for each file and container.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av

from plugin_tests.reliability.figures import Figure, Options, none_of
from plugin_tests.small_network import save_small_network

__all__ = ["measure", "outcomes"]

_SUFFIXES = (".mkv", ".mp4", ".mov")
_LINES = [(100, 300, "Hello"), (300, 450, "there")]
# Sound, with the container in which it usually comes.
_SOUND = (
    *(("aac", "mp4"), ("aac", "flv"), ("ac3", "ts"), ("eac3", "mkv"), ("flac", "mkv"), ("alac", "mov")),
    *(("libopus", "mkv"), ("libopus", "ts"), ("libmp3lame", "avi"), ("mp2", "ts"), ("tta", "mkv")),
    *(("wavpack", "mkv"), ("pcm_s16le", "mkv"), ("pcm_s16be", "mov"), ("pcm_f32le", "mkv"), ("pcm_mulaw", "mov")),
    *(("adpcm_ms", "avi"), ("pcm_bluray", "ts")),
)


def measure(options: Options) -> list[Figure]:
    """The promise, over every file and container; a part of them in a quick run."""
    save_small_network(options.folder / "model.safetensors", tiny=True)
    found: Counter[str] = Counter()
    failures = []
    for name, outcome, fault in outcomes(options.folder, every=7 if options.quick else 1):
        found[outcome] += 1
        failures += [f"{name}: {fault}"] if fault else []
    words = f"files and containers ({found['converted']} converted, {found['refused']} refused)"
    promise = "odd files are converted whole, or refused in one line before the first frame"
    return [none_of(promise, failures, found.total(), words)]


def outcomes(folder: Path, *, every: int = 1) -> Iterator[tuple[str, str, str]]:
    """(file and container, "converted" or "refused", what is wrong with that if anything)."""
    cases = [(name, make, suffix) for name, make in _situations().items() for suffix in _SUFFIXES]
    for name, make, suffix in cases[::every]:
        source = folder / name
        if not source.exists():
            make(source)
        yield f"{name} -> {suffix}", *_encode(source, folder / f"out{suffix}", folder / "model.safetensors")


def _situations() -> dict[str, Callable[[Path], Any]]:
    """How each file is made, by its name."""
    from plugin_tests.encode.container.odd_media import cover_bytes, film, join, remux

    def joined(path: Path, *, later: float = 0.0) -> None:
        first = film(path.with_suffix(".1.ts"), rate=Fraction(25), frames=10, sound="mp2")
        second = film(path.with_suffix(".2.ts"), rate=Fraction(25), frames=10, sound="mp2", start_seconds=later)
        join(path, first, second)

    def edited(path: Path, **options: Any) -> None:
        remux(film(path.with_suffix(".whole.mp4"), frames=20), path, **options)

    def avi(codec: str, container: str) -> dict[str, Any]:
        return {"codec": "mpeg4"} if container == "avi" else {}

    made: dict[str, Callable[[Path], Any]] = {
        f"sound {codec}.{container}": partial(film, sound=codec, **avi(codec, container)) for codec, container in _SOUND
    }
    made["sound latm.ts"] = partial(film, container_options={"mpegts_flags": "latm"})
    for codec, container in (("subrip", "mkv"), ("ass", "mkv"), ("webvtt", "mkv"), ("mov_text", "mp4")):
        made[f"subtitles {codec}.{container}"] = partial(film, subtitles=(codec, _LINES))
    made["chapters before the picture.mkv"] = partial(film, start_seconds=0.5, chapters=[(0, 200), (200, 900)])
    made["cover.mkv"] = partial(film, attachments=[("cover.jpg", "image/jpeg", cover_bytes())])
    made["cover.mp4"] = partial(edited, cover=cover_bytes())
    made["font.mkv"] = partial(film, attachments=[("a.ttf", "font/ttf", b"font")])
    made["trimmed.mp4"] = partial(edited, first_seconds=0.4)
    made["joined.ts"] = joined
    made["joined hours later.ts"] = partial(joined, later=7200.0)
    for rate in (Fraction(1, 10), Fraction(24_000, 1001), Fraction(1000)):
        made[f"{float(rate):g} fps.mkv"] = partial(film, rate=rate, sound=None)
    for size in ((16, 16), (8, 8), (320, 8), (65, 47)):
        made["{}x{}.mkv".format(*size)] = partial(film, size=size, codec="ffv1", pixel_format="yuv444p")
    made["one frame.mp4"] = partial(film, frames=1, sound=None)
    made["alpha.mkv"] = partial(film, codec="ffv1", pixel_format="yuva420p")
    made["palette.gif"] = partial(film, codec="gif", pixel_format="rgb8", sound=None)
    made["a: colon.mkv"] = film
    return made


def _encode(source: Path, output: Path, model: Path) -> tuple[str, str]:
    from plugin_tests.encode.media import InProcessExecutor
    from vsdslnet.encode.progress import QuietReporter
    from vsdslnet.encode.run import encode_file
    from vsdslnet.encode.settings import EncodeSettings
    from vsdslnet.errors import DslnetError

    settings = EncodeSettings(model=str(model), strength=0.0, preset="draft", encoder="av")
    executor, folder = InProcessExecutor(), output.with_name(f"{output.name}.vsdslnet")
    try:
        done = encode_file(source, output, settings, executor=executor, reporter=QuietReporter(), overwrite=True)
    except DslnetError as error:
        text = str(error)
        faults = {
            "frames were computed first": bool(executor.made),
            "not one line": not text.strip() or "\n" in text,
            "a folder is left behind": folder.exists(),
        }
        shutil.rmtree(folder, ignore_errors=True)
        return "refused", ", ".join(fault for fault, is_so in faults.items() if is_so)
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        return "refused", f"{type(error).__name__} instead of an error of ours: {error!s:.150}"
    return "converted", _what_is_missing(source, output, done.dropped)


def _what_is_missing(source: Path, output: Path, told: list[str]) -> str:
    """Sound and subtitles that did not arrive, though nothing was said of it."""
    with av.open(str(source.absolute())) as before, av.open(str(output)) as after:
        for kind in ("audio", "subtitles"):
            here, there = len(getattr(before.streams, kind)), len(getattr(after.streams, kind))
            if there < here and not any(kind.rstrip("s") in line or "sound" in line for line in told):
                return f"{here - there} of {here} {kind} streams are missing"
        if sum(1 for _ in after.decode(video=0)) == 0:
            return "no picture can be decoded"
    return ""


if __name__ == "__main__":
    scratch = Path(sys.argv[1])
    save_small_network(scratch / "model.safetensors", tiny=True)
    for line in outcomes(scratch):
        print(*line, sep=": ", flush=True)

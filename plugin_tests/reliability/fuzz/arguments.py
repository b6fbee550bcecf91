"""Every argument of Convert with values of the wrong type, range, length and script."""

from __future__ import annotations

from typing import Any

import vapoursynth as vs

from plugin_tests.reliability.figures import Figure, Options, none_of
from plugin_tests.small_network import save_small_network

__all__ = ["measure"]

INTEGERS = [-1, 0, 3, 63, 65, 2**31 - 1, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63), 2**64, 10**30, True]
FLOATS = [float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324, -0.0, -1.0, 299.99, 10_000.01, 2**1000]
TEXTS = [
    "", " ", "auto ", "AUTO", "λ", "漢字", "\u202e", "\U0001f600", "a\nb", "a\0b", "../../etc/passwd", "/",
    "~", "x" * 100_000, "%s%n", "{}", "'; --", "/dev/zero", "/dev/null.safetensors",
]  # fmt: skip
BYTES = [b"", b"\xff\xfe", b"\0", b"\x80" * 5000]
OTHERS: list[Any] = [None, [], [[]], {}, object(), len, 1j, [1, 2, 3], [64, 64, 64], [0, 0], [-64, 2**40], ["a", "b"]]


def measure(options: Options) -> list[Figure]:
    """Each value for each argument: a clip, or one line that names the argument (and value and cure)."""
    model = str(save_small_network(options.folder / "arguments.safetensors", tiny=True))
    clip = vs.core.std.BlankClip(format=vs.YUV420P8, width=32, height=16, length=2)
    failures: list[str] = []
    turned_down = 0
    values = [*INTEGERS, *FLOATS, *TEXTS, *BYTES, *OTHERS, clip]
    arguments = names()
    for argument in arguments:
        for value in values:
            try:
                vs.core.dslnet.Convert(clip, **({"model": model} | {argument: value}))
            except vs.Error as error:
                if wrong := fault_of(argument, str(error)):
                    failures.append(f"{argument}={value!r:.60}: {wrong}")
            except (TypeError, ValueError, OverflowError):
                turned_down += 1  # by VapourSynth's Python module; Convert never sees it
    count = len(arguments) * len(values)
    words = f"values ({turned_down} of them turned down by VapourSynth's Python module)"
    return [none_of("wrong arguments are errors that name argument, value and cure", failures, count, words)]


def names() -> list[str]:
    """Convert's arguments besides the clip, as registered with the core."""
    signature = next(f.signature for f in vs.core.dslnet.functions() if f.name == "Convert")
    return [part.split(":")[0] for part in signature.split(";") if part][1:]


def fault_of(argument: str, text: str) -> str:
    """What is wrong with this error, or nothing."""
    if "\n" in text:
        return f"more than one line: {text!r:.200}"
    if argument not in text:
        return f"does not name the argument: {text:.200}"
    if not text.startswith("dslnet.Convert: "):
        return ""  # the core's own word about a type: it names what it wants and what it got
    if f"{argument}=" not in text and "/" not in text:
        return f"does not name the value: {text:.200}"
    if not any(words in text for words in ("is not allowed: ", "; ", "is not known: available are")):
        return f"names no cure: {text:.200}"
    return ""

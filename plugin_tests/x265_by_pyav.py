"""``x265 --y4m --input - --output FILE --OPTION ...`` by the libx265 inside PyAV, where the program is not installed.

Every option goes through x265's own parser; one that it does not know, or a value that it refuses, ends in code 1.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import av.logging

# Options of the program that are no parameters of the library.
_OF_THE_PROGRAM = {"y4m", "input", "output", "output-depth", "profile", "preset"}


def main(arguments: list[str]) -> int:
    options: dict[str, str] = {}
    for word, following in zip(arguments, [*arguments[1:], "--"], strict=True):
        if word.startswith("--"):
            options[word[2:]] = "1" if following.startswith("--") else following
    if options["input"] != "-" or options["output-depth"] != "10" or options["profile"] != "main10":
        return 1
    parameters = ":".join(f"{name}={value}" for name, value in options.items() if name not in _OF_THE_PROGRAM)
    av.logging.set_level(av.logging.WARNING)
    with (
        av.logging.Capture(local=False) as said,
        av.open(sys.stdin.buffer, format="yuv4mpegpipe") as source,
        Path(options["output"]).open("wb") as output,
    ):
        frames = source.streams.video[0]
        encoder = av.CodecContext.create("libx265", "w")
        encoder.width, encoder.height, encoder.pix_fmt = frames.width, frames.height, "yuv420p10le"
        encoder.framerate, encoder.time_base = frames.average_rate, Fraction(1, 1) / frames.average_rate
        encoder.options = {"preset": options["preset"], "x265-params": parameters}
        for frame in source.decode(frames):
            output.writelines(map(bytes, encoder.encode(frame)))
        output.writelines(map(bytes, encoder.encode(None)))
    wrong = [text for _, _, text in said if "nknown option" in text or "nvalid" in text]
    print("".join(wrong), file=sys.stderr, end="")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

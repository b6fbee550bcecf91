"""The encoder on two black frames of the picture's size, before any work: does it take them, and what does it say?"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from vsdslnet.encode.chunk.attempt import attempt, attempt_apart
from vsdslnet.encode.chunk.encoders import Picture, in_this_process
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import ArgumentError, JobError, MediaError

__all__ = ["Trial", "try_encoder"]

# Below these, in pixels of either side, encoders fail in ways of their own: the x265 program hangs, SVT-AV1 writes
# past its buffers.
_LEAST_PIXELS = {"x265 program": 32, "libx265": 16, "libsvtav1": 32}
# "x265 [warning]: ..." and "Svt[warn]: ...".
_WARNING = re.compile(r"\[warn(?:ing)?\]:\s*(.+)")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """``stream``: the two frames, encoded. ``warnings``: what the encoder says of the user's parameters."""

    stream: bytes
    warnings: tuple[str, ...]


def try_encoder(encoder: str, settings: EncodeSettings, *, picture: Picture, source: Path, folder: Path) -> Trial:
    """Encode two black frames as the job's will be, leaving nothing in ``folder``.

    MediaError if the encoder can't take the picture, ArgumentError if it can't with the user's parameters.
    """
    _check_size(encoder, picture, source)
    plain, path = replace(settings, parameters={}), folder / ".trial.partial"
    try:
        usual = attempt(encoder, plain, picture=picture, path=path)
    except JobError as error:
        what = f"{picture.width}x{picture.height} at {float(picture.frame_rate):g} frames a second"
        raise MediaError(
            f"{source}: {encoder} can't encode {what} ({error}); scale the picture, or take another --codec"
        ) from None
    if not settings.parameters:
        return Trial(stream=usual.stream, warnings=())
    try:
        asked_for = attempt_apart if in_this_process(encoder) else attempt
        done = asked_for(encoder, settings, picture=picture, path=path)
    except JobError as error:
        given = ":".join(f"{name}={value}" for name, value in settings.parameters.items())
        allowed = f"names and values that the encoder knows ({str(error)[:200]})"
        raise ArgumentError("params", given, allowed, "correct it") from None
    before = _WARNING.findall(usual.said)
    return Trial(stream=done.stream, warnings=tuple(line for line in _WARNING.findall(done.said) if line not in before))


def _check_size(encoder: str, picture: Picture, source: Path) -> None:
    least = next((pixels for name, pixels in _LEAST_PIXELS.items() if encoder.startswith(name)), 1)
    shortest = min(picture.width, picture.height)
    if shortest < least:
        times = -(-least // shortest)
        raise MediaError(
            f"{source}: is {picture.width}x{picture.height} as delivered, and {encoder} takes no side below {least} "
            f"pixels; scale it first (ffmpeg -vf scale=iw*{times}:ih*{times})"
        )

"""The encoder on two black frames of the picture's size, before any work: does it take them, and what does it say?"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import vapoursynth as vs

from vsdslnet.encode.chunk.encoders import Picture, open_encoder
from vsdslnet.encode.chunk.light import with_light
from vsdslnet.encode.form import form_of
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.stderr import Caught, stderr_caught
from vsdslnet.errors import ArgumentError, JobError, MediaError

__all__ = ["Trial", "try_encoder"]

_FRAMES = 2
# Below these, in pixels of either side, encoders fail in ways of their own: the x265 program hangs, SVT-AV1 writes
# past its buffers.
_LEAST_PIXELS = {"x265 program": 32, "libx265": 16, "libsvtav1": 32}
# An encoder that has not finished two frames by then never will.
_HANGS_SECONDS = 120.0
# "x265 [warning]: ..." and "Svt[warn]: ...".
_ERROR = re.compile(r"\[error\]:\s*(.+)")
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
    plain = replace(settings, parameters={})
    try:
        stream, usual = _encode(encoder, plain, picture, folder)
    except JobError as error:
        what = f"{picture.width}x{picture.height} at {float(picture.frame_rate):g} frames a second"
        raise MediaError(
            f"{source}: {encoder} can't encode {what} ({error}); scale the picture, or take another --codec"
        ) from None
    if not settings.parameters:
        return Trial(stream=stream, warnings=())
    try:
        stream, told = _encode(encoder, settings, picture, folder)
    except JobError as error:
        given = ":".join(f"{name}={value}" for name, value in settings.parameters.items())
        allowed = f"names and values that the encoder knows ({str(error)[:200]})"
        raise ArgumentError("params", given, allowed, "correct it") from None
    return Trial(stream=stream, warnings=tuple(line for line in told if line not in usual))


def _check_size(encoder: str, picture: Picture, source: Path) -> None:
    least = next((pixels for name, pixels in _LEAST_PIXELS.items() if encoder.startswith(name)), 1)
    shortest = min(picture.width, picture.height)
    if shortest < least:
        times = -(-least // shortest)
        raise MediaError(
            f"{source}: is {picture.width}x{picture.height} as delivered, and {encoder} takes no side below {least} "
            f"pixels; scale it first (ffmpeg -vf scale=iw*{times}:ih*{times})"
        )


def _encode(encoder: str, settings: EncodeSettings, picture: Picture, folder: Path) -> tuple[bytes, list[str]]:
    """The encoded frames, and what the encoder warned of. JobError if it fails."""
    path, caught = folder / ".trial.partial", Caught()
    form = form_of(settings)
    black = vs.core.std.BlankClip(
        format=getattr(vs, form.pixels),
        width=picture.width,
        height=picture.height,
        length=_FRAMES,
        color=[0, 0, 0] if form.is_rgb else [64, 512, 512],
    )
    if form.is_sequence:  # some say their own light
        black = with_light(black)
    try:
        with stderr_caught(caught):
            file = open_encoder(encoder, settings, picture=picture, frames=_FRAMES, path=path, says_warnings=True)
            watchdog = threading.Timer(_HANGS_SECONDS, file.abort)
            watchdog.start()
            try:
                for frame in black.frames(close=True):
                    file.feed(frame)
                file.close()
            finally:
                watchdog.cancel()
        return path.read_bytes(), _WARNING.findall(caught.text)
    except JobError as error:
        said = _ERROR.findall(caught.text)
        raise JobError(f"{error}: {said[0]}" if said and said[0] not in str(error) else str(error)) from None
    finally:
        path.unlink(missing_ok=True)

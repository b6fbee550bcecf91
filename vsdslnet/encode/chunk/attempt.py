"""Two black frames through an encoder, in this process or in one of their own.

Libraries that turn a parameter down do not always come out of it alive: libx265 divided by zero while it gave up. So
what a user asks for is attempted where a crash costs a line and no work.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import msgspec
import vapoursynth as vs

from vsdslnet.encode.child_process import apart_from_ctrl_c, how_ended
from vsdslnet.encode.chunk.encoders import Picture, open_encoder
from vsdslnet.encode.chunk.light import with_light
from vsdslnet.encode.form import form_of
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.stderr import Caught, stderr_caught
from vsdslnet.errors import JobError

__all__ = ["Attempt", "attempt", "attempt_apart"]

_FRAMES = 2
# An encoder that has not finished two frames by then never will.
_HANGS_SECONDS = 120.0
# "x265 [error]: ...".
_ERROR = re.compile(r"\[error\]:\s*(.+)")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """``stream``: the two frames, encoded. ``said``: what the encoder printed."""

    stream: bytes
    said: str


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the other process is asked for. Fractions as ``numerator/denominator``."""

    encoder: str
    settings: EncodeSettings
    width: int
    height: int
    frame_rate: str
    sample_aspect: str
    path: str

    def picture(self) -> Picture:
        return Picture(
            width=self.width,
            height=self.height,
            frame_rate=Fraction(self.frame_rate),
            sample_aspect=Fraction(self.sample_aspect),
        )


def attempt(encoder: str, settings: EncodeSettings, *, picture: Picture, path: Path) -> Attempt:
    """Encode two frames by way of ``path``, of which nothing stays. JobError if the encoder fails."""
    caught = Caught()
    try:
        with stderr_caught(caught):
            _encode(encoder, settings, picture, path)
        return Attempt(stream=path.read_bytes(), said=caught.text)
    except JobError as error:
        raise _with_its_words(str(error), caught.text) from None
    finally:
        path.unlink(missing_ok=True)


def attempt_apart(encoder: str, settings: EncodeSettings, *, picture: Picture, path: Path) -> Attempt:
    """The same in a process of its own, whose crash is a JobError."""
    order = _Order(
        encoder=encoder,
        settings=settings,
        width=picture.width,
        height=picture.height,
        frame_rate=str(picture.frame_rate),
        sample_aspect=str(picture.sample_aspect),
        path=str(path),
    )
    try:
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                **apart_from_ctrl_c(),
            )
            try:
                told, _ = process.communicate(msgspec.json.encode(order), timeout=_HANGS_SECONDS)
            except BaseException as error:
                process.kill()
                process.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise JobError("the encoder does not finish two frames") from None
                raise
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        if process.returncode:
            raise _with_its_words(f"the encoder ended {how_ended(process.returncode)}", said)
        refused = msgspec.json.decode(told, type=str)
        if refused:
            raise _with_its_words(refused, said)
        return Attempt(stream=path.read_bytes(), said=said)
    finally:
        path.unlink(missing_ok=True)


def _encode(encoder: str, settings: EncodeSettings, picture: Picture, path: Path) -> None:
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
    file = open_encoder(encoder, settings, picture=picture, frames=_FRAMES, path=path, says_warnings=True)
    watchdog = threading.Timer(_HANGS_SECONDS, file.abort)
    watchdog.start()
    try:
        for frame in black.frames(close=True):
            file.feed(frame)
        file.close()
    finally:
        watchdog.cancel()


def _with_its_words(error: str, said: str) -> JobError:
    reasons = _ERROR.findall(said)
    return JobError(f"{error}: {reasons[0]}" if reasons and reasons[0] not in error else error)


def _main() -> None:
    """Carry out the order on stdin; on stdout, as JSON, why the encoder refused, or an empty text."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come before the answer
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=_Order)
    refused = ""
    try:
        _encode(order.encoder, order.settings, order.picture(), Path(order.path))
    except JobError as error:
        refused = str(error)
    answers.write(msgspec.json.encode(refused))
    answers.flush()
    sys.stderr.flush()
    os._exit(0)  # an encoder that failed has nothing to clear up that is worth a crash


if __name__ == "__main__":
    _main()

"""Encoders of one chunk: x265 the program, libx265 and SVT-AV1 inside PyAV. Ten bits, HDR10, closed GOP."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import av.logging
import numpy as np
import vapoursynth as vs

from vsdslnet.color.h273 import Matrix, Primaries, Transfer
from vsdslnet.encode.child_process import apart_from_ctrl_c, how_ended
from vsdslnet.encode.chunk.encoder_parameters import preset_and_crf, svt_parameters, x265_parameters
from vsdslnet.encode.chunk.scheduling import ordinary_scheduling
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import ArgumentError, JobError

__all__ = ["ChunkEncoder", "Picture", "check_parameters", "choose_encoder", "open_encoder"]

# AVCOL_RANGE_MPEG of FFmpeg.
_FFMPEG_LIMITED_RANGE = 1
# What libx265.c and libsvtav1.c of FFmpeg begin these warnings with.
_UNKNOWN_PARAMETER = ("Unknown option", "Invalid value", "Error parsing option")

_X265_SWITCHES = frozenset(
    {
        "amp", "annexb", "aud", "b-intra", "b-pyramid", "constrained-intra", "cu-lossless", "cutree",
        "early-skip", "fades", "fast-intra", "hdr10", "hdr10-opt", "hevc-aq", "hist-scenecut", "info",
        "limit-modes", "limit-sao", "mcstf", "open-gop", "pme", "pmode", "psnr", "rd-refine", "rect",
        "repeat-headers", "sao", "sao-non-deblock", "signhide", "splitrd-skip", "ssim",
        "strong-intra-smoothing", "temporal-mvp", "tskip", "tskip-fast", "weightb", "weightp", "wpp",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What an encoder has to know about the picture."""

    width: int
    height: int
    frame_rate: Fraction
    sample_aspect: Fraction


class ChunkEncoder(Protocol):
    """Takes frames in order, leaves an elementary stream."""

    def feed(self, frame: vs.VideoFrame) -> None:
        """Encode one YUV420P10 frame; JobError if the encoder is gone."""

    def close(self) -> None:
        """Write what is left; JobError if the encoder failed."""

    def abort(self) -> None:
        """Stop without finishing; what was written is of no use."""


def choose_encoder(settings: EncodeSettings) -> str:
    """Which encoder a job uses, with its version: equal texts give equal bits.

    ArgumentError if what was asked for is not there.
    """
    program = shutil.which("x265")
    if settings.codec == "hevc" and settings.encoder != "av" and program:
        return f"x265 program, {_x265_version(program)}"
    if settings.encoder == "x265":
        cure = "install x265, or leave the encoder out" if settings.codec == "hevc" else "AV1 is made by PyAV"
        raise ArgumentError("encoder", "x265", "an x265 program on the PATH and codec hevc", cure)
    name = "libx265" if settings.codec == "hevc" else "libsvtav1"
    if name not in av.codecs_available:
        raise ArgumentError("codec", settings.codec, "a codec this PyAV has", f"it lacks {name}")
    return f"{name} of PyAV {av.__version__}"


def check_parameters(encoder: str, settings: EncodeSettings) -> None:
    """ArgumentError if libx265 does not take the parameters. The others are asked when they get a chunk."""
    if settings.parameters and encoder.startswith("libx265"):
        any_picture = Picture(width=128, height=128, frame_rate=Fraction(24), sample_aspect=Fraction(1))
        _opened_context(settings, any_picture, frames=settings.chunk_frames)


def open_encoder(encoder: str, settings: EncodeSettings, *, picture: Picture, frames: int, path: Path) -> ChunkEncoder:
    """Start the chosen encoder on a chunk of this many frames, written to ``path``."""
    if encoder.startswith("x265 program"):
        return _X265Program(settings, picture=picture, frames=frames, path=path)
    return _PyavEncoder(settings, picture=picture, frames=frames, path=path)


class _PyavEncoder:
    """libx265 or SVT-AV1 inside PyAV, in this process."""

    def __init__(self, settings: EncodeSettings, *, picture: Picture, frames: int, path: Path) -> None:
        self._context = _opened_context(settings, picture, frames)
        self._file, self._fed = path.open("wb"), 0

    def feed(self, frame: vs.VideoFrame) -> None:
        """See :class:`ChunkEncoder`."""
        picture = av.VideoFrame(frame.width, frame.height, "yuv420p10le")
        for number, plane in enumerate(picture.planes):
            source = np.asarray(frame[number])
            rows = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)
            rows[:, : source.shape[1]] = source
        picture.pts, picture.time_base = self._fed, self._context.time_base
        self._fed += 1
        self._write(picture)

    def close(self) -> None:
        """See :class:`ChunkEncoder`."""
        with self._file:
            self._write(None)

    def abort(self) -> None:
        """See :class:`ChunkEncoder`."""
        self._file.close()

    def _write(self, picture: av.VideoFrame | None) -> None:
        try:
            packets = self._context.encode(picture)
        except av.FFmpegError as error:
            raise JobError(f"the encoder failed ({error.strerror})") from None
        for packet in packets:
            self._file.write(packet)


def _opened_context(settings: EncodeSettings, picture: Picture, frames: int) -> av.VideoCodecContext:
    """ArgumentError if the encoder does not know one of the parameters, or refuses its value."""
    hevc = settings.codec == "hevc"
    speed, crf = preset_and_crf(settings)
    context = av.VideoCodecContext.create("libx265" if hevc else "libsvtav1", "w")
    context.width, context.height = picture.width, picture.height
    context.pix_fmt = "yuv420p10le"
    context.framerate = picture.frame_rate
    context.time_base = 1 / picture.frame_rate
    context.sample_aspect_ratio = picture.sample_aspect
    context.color_primaries = Primaries.BT2020
    context.color_trc = Transfer.PQ if settings.transfer == "pq" else Transfer.HLG
    context.colorspace, context.color_range = Matrix.BT2020_NCL, _FFMPEG_LIMITED_RANGE
    parameters = x265_parameters(settings, frames=frames) if hevc else svt_parameters(settings)
    quiet = {"log-level": "none"} if hevc else {}
    joined = ":".join(f"{name}={value}" for name, value in (parameters | quiet).items())
    context.options = {
        "preset": speed,
        "crf": f"{crf:g}",
        "x265-params" if hevc else "svtav1-params": joined,
    }
    if not hevc:
        context.gop_size = max(frames, 2)
    with ordinary_scheduling(), _warnings() as told:
        try:
            context.open()
        except (av.FFmpegError, OSError):
            raise _wrong_parameters(settings, told) from None
    # FFmpeg only warns of a parameter that the encoder does not know, and leaves it out.
    if any(text.startswith(_UNKNOWN_PARAMETER) for _, _, text in told):
        raise _wrong_parameters(settings, told)
    return context


def _wrong_parameters(settings: EncodeSettings, told: list[tuple[int, str, str]]) -> ArgumentError:
    given = ":".join(f"{name}={value}" for name, value in settings.parameters.items())
    reason = told[0][2].strip().rstrip(".") if told else "it refuses them"
    return ArgumentError("params", given, f"names and values that the encoder knows ({reason})", "correct it")


@contextmanager
def _warnings() -> Iterator[list[tuple[int, str, str]]]:
    """(level, who, text) of what FFmpeg's libraries warn of on this thread, in this list instead of on stderr."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture() as told:
            yield told
    finally:
        av.logging.set_level(before)


class _X265Program:
    """The x265 program, fed y4m through a pipe."""

    def __init__(self, settings: EncodeSettings, *, picture: Picture, frames: int, path: Path) -> None:
        speed, crf = preset_and_crf(settings)
        rate, aspect = picture.frame_rate, picture.sample_aspect
        options = {
            "preset": speed,
            "crf": f"{crf:g}",
            "profile": "main10",
            "output-depth": "10",
            "frames": str(frames),
            "sar": f"{aspect.numerator}:{aspect.denominator}",
            "log-level": "error",
            **x265_parameters(settings, frames=frames),
        }
        command = ["x265", "--y4m", "--no-progress", "--output", str(path)]
        for name, value in options.items():
            command += _x265_option(name, value)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            # The end of its input ends it.
            self._process = subprocess.Popen(
                [*command, "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                **apart_from_ctrl_c(),
            )
        except FileNotFoundError:
            self._errors.close()
            raise JobError("there is no x265 program on the PATH; install it, or use the encoder 'av'") from None
        size, fps = f"W{picture.width} H{picture.height}", f"F{rate.numerator}:{rate.denominator}"
        self._send(f"YUV4MPEG2 {size} {fps} Ip C420p10\n".encode())

    def feed(self, frame: vs.VideoFrame) -> None:
        """See :class:`ChunkEncoder`."""
        self._send(b"FRAME\n")
        for number in range(3):
            self._send(np.ascontiguousarray(np.asarray(frame[number])).data)

    def close(self) -> None:
        """See :class:`ChunkEncoder`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            raise self._failure() from None
        if self._process.wait() != 0:
            raise self._failure()
        self._errors.close()

    def abort(self) -> None:
        """See :class:`ChunkEncoder`."""
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def _send(self, data: bytes | memoryview) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except BrokenPipeError:
            raise self._failure() from None

    def _failure(self) -> JobError:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines() or ["it gave no reason"]
        # Its banner comes last when it stops over an option; "[info]" lines are never the reason.
        reasons = [line for line in lines if "[info]" not in line] or lines
        return JobError(f"x265 ended {how_ended(code)}: {reasons[-1].strip()}")


def _x265_option(name: str, value: str) -> list[str]:
    """x265's command line spells switches ``--name`` / ``--no-name`` and everything else ``--name value``."""
    if name in _X265_SWITCHES:
        return [f"--{name}" if value not in ("0", "false") else f"--no-{name}"]
    return [f"--{name}", value]


def _x265_version(program: str) -> str:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    lines = (shown.stderr + shown.stdout).strip().splitlines() or ["unknown version"]
    return lines[0].removeprefix("x265 [info]: ").strip()

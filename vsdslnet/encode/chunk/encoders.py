"""Encoders of one chunk: x265 the program, libx265 and SVT-AV1 inside PyAV. Ten bits, HDR10, closed GOP.

Those of other codecs have modules of their own, and are opened here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import av.logging
import numpy as np
import vapoursynth as vs

from vsdslnet.color.h273 import Matrix, Primaries, Transfer
from vsdslnet.encode.child_process import apart_from_ctrl_c, how_ended
from vsdslnet.encode.chunk.encoder_interface import ChunkEncoder, Picture
from vsdslnet.encode.chunk.encoder_parameters import INTRA_ENCODERS, preset_and_crf, svt_parameters, x265_parameters
from vsdslnet.encode.chunk.intra_encoders import IntraEncoder
from vsdslnet.encode.chunk.picture_encoders import PictureEncoder, picture_tool
from vsdslnet.encode.chunk.scheduling import ordinary_scheduling
from vsdslnet.encode.ffmpeg_log import ffmpeg_messages, ffmpeg_reason
from vsdslnet.encode.form import form_of
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import ArgumentError, JobError

__all__ = ["ChunkEncoder", "Picture", "choose_encoder", "in_this_process", "open_encoder"]

# AVCOL_RANGE_MPEG of FFmpeg.
_FFMPEG_LIMITED_RANGE = 1
_SVT_HIGHEST_RATE = Fraction(240)
# What libx265.c and libsvtav1.c of FFmpeg begin these warnings with.
_UNKNOWN_PARAMETER = ("Unknown option", "Invalid value", "Error parsing option")

_X265_SWITCHES = frozenset(
    {
        "amp", "annexb", "aud", "b-intra", "b-pyramid", "constrained-intra", "cu-lossless", "cutree",
        "early-skip", "fades", "fast-intra", "hdr10", "hdr10-opt", "hevc-aq", "high-tier", "hist-scenecut",
        "hme", "info", "limit-modes", "limit-sao", "mcstf", "open-gop", "pme", "pmode", "psnr", "rd-refine", "rect",
        "repeat-headers", "sao", "sao-non-deblock", "signhide", "splitrd-skip", "ssim",
        "strong-intra-smoothing", "temporal-mvp", "tskip", "tskip-fast", "weightb", "weightp", "wpp",
    }
)  # fmt: skip
# Shown like a switch, but it takes two numbers.
_TAKES_OFFSETS = {"deblock"}
# x265_atobool.
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def choose_encoder(settings: EncodeSettings) -> str:
    """Which encoder a job uses, with its version: equal texts give equal bits.

    ArgumentError or MissingPackageError if what was asked for is not there.
    """
    if form_of(settings).is_sequence:
        return picture_tool(settings)
    program = shutil.which("x265")
    if settings.codec == "hevc" and settings.encoder != "av" and program:
        return f"x265 program, {_x265_version(program)}"
    if settings.encoder == "x265":
        cure = "install x265, or leave the encoder out" if settings.codec == "hevc" else "AV1 is made by PyAV"
        raise ArgumentError("encoder", "x265", "an x265 program on the PATH and codec hevc", cure)
    names = {"hevc": "libx265", "av1": "libsvtav1"} | {codec: told.name for codec, told in INTRA_ENCODERS.items()}
    name = names[settings.codec]
    if name not in av.codecs_available:
        raise ArgumentError("codec", settings.codec, "a codec this PyAV has", f"it lacks {name}")
    return f"{name} of PyAV {av.__version__}"


def open_encoder(
    encoder: str,
    settings: EncodeSettings,
    *,
    picture: Picture,
    frames: int,
    path: Path,
    says_warnings: bool = False,
) -> ChunkEncoder:
    """Start the chosen encoder on a chunk of this many frames, written to ``path``.

    ``says_warnings``: on the process's error stream; otherwise it says nothing. JobError if it can't be started, or
    does not know one of the user's parameters.
    """
    form = form_of(settings)
    if form.is_sequence:
        return PictureEncoder(settings, picture=picture, path=path)
    if form.fourcc:
        return IntraEncoder(settings, form.pixels, picture=picture, path=path)
    if not in_this_process(encoder):
        return _X265Program(settings, picture=picture, frames=frames, path=path, says_warnings=says_warnings)
    return _PyavEncoder(settings, picture=picture, frames=frames, path=path, says_warnings=says_warnings)


def in_this_process(encoder: str) -> bool:
    """Whether the chosen encoder is a library, whose crash is ours."""
    return not encoder.startswith("x265 program")


class _PyavEncoder:
    """libx265 or SVT-AV1 inside PyAV, in this process."""

    def __init__(
        self, settings: EncodeSettings, *, picture: Picture, frames: int, path: Path, says_warnings: bool
    ) -> None:
        self._context = _opened_context(settings, picture, frames, says_warnings)
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


def _opened_context(
    settings: EncodeSettings, picture: Picture, frames: int, says_warnings: bool
) -> av.VideoCodecContext:
    """JobError if the encoder can't be opened, or does not know one of the parameters."""
    hevc = settings.codec == "hevc"
    speed, crf = preset_and_crf(settings)
    context = av.VideoCodecContext.create("libx265" if hevc else "libsvtav1", "w")
    context.width, context.height = picture.width, picture.height
    context.pix_fmt = "yuv420p10le"
    # SVT-AV1 takes no higher rate. Quality is constant and containers have the times, so it changes little.
    rate = picture.frame_rate if hevc else min(picture.frame_rate, _SVT_HIGHEST_RATE)
    context.framerate, context.time_base = rate, 1 / rate
    context.sample_aspect_ratio = picture.sample_aspect
    context.color_primaries = Primaries.BT2020
    context.color_trc = Transfer.PQ if settings.transfer == "pq" else Transfer.HLG
    context.colorspace, context.color_range = Matrix.BT2020_NCL, _FFMPEG_LIMITED_RANGE
    parameters = x265_parameters(settings, frames=frames) if hevc else svt_parameters(settings)
    quiet = {"log-level": "warning" if says_warnings else "none"} if hevc else {}
    joined = ":".join(f"{name}={value}" for name, value in (parameters | quiet).items())
    context.options = {
        "preset": speed,
        "crf": f"{crf:g}",
        "x265-params" if hevc else "svtav1-params": joined,
    }
    if not hevc:
        context.gop_size = max(frames, 2)
    with ordinary_scheduling(), ffmpeg_messages(av.logging.WARNING) as told:
        try:
            context.open()
        except (av.FFmpegError, OSError) as error:
            raise JobError(_reason(told) or f"it can't be opened: {ffmpeg_reason(error)}") from None
    # FFmpeg only warns of a parameter that the encoder does not know, and leaves it out.
    unknown = [message for message in told if message[2].startswith(_UNKNOWN_PARAMETER)]
    if unknown:
        raise JobError(_reason(unknown))
    return context


def _reason(told: list[tuple[int, str, str]]) -> str:
    return told[0][2].strip().rstrip(".") if told else ""


class _X265Program:
    """The x265 program, fed bare planes through a pipe: its y4m takes neither small pictures nor all rates."""

    def __init__(
        self, settings: EncodeSettings, *, picture: Picture, frames: int, path: Path, says_warnings: bool
    ) -> None:
        speed, crf = preset_and_crf(settings)
        rate, aspect = picture.frame_rate, picture.sample_aspect
        options = {
            "input-res": f"{picture.width}x{picture.height}",
            "fps": f"{rate.numerator}/{rate.denominator}",
            "input-depth": "10",
            "input-csp": "i420",
            "preset": speed,
            "crf": f"{crf:g}",
            "profile": "main10",
            "output-depth": "10",
            "frames": str(frames),
            "sar": f"{aspect.numerator}:{aspect.denominator}",
            "log-level": "warning" if says_warnings else "error",
            **x265_parameters(settings, frames=frames),
        }
        command = ["x265", "--no-progress", "--output", str(path)]
        self._says_warnings = says_warnings
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            for name, value in options.items():
                command += x265_option(name, value, switches=_x265_switches())
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

    def feed(self, frame: vs.VideoFrame) -> None:
        """See :class:`ChunkEncoder`."""
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
        if self._says_warnings:
            print("\n".join(self._said()), file=sys.stderr)
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
        lines = self._said() or ["it gave no reason"]
        # The first error is the cause; without one its banner comes last. "[info]" lines are never the reason.
        errors = [line.partition("[error]: ")[2] for line in lines if "[error]: " in line]
        reasons = [line for line in lines if "[info]" not in line] or lines
        return JobError(f"x265 ended {how_ended(code)}: {(errors[0] if errors else reasons[-1]).strip()}")

    def _said(self) -> list[str]:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip().splitlines()


def x265_option(name: str, value: str, *, switches: frozenset[str]) -> list[str]:
    """x265's command line spells switches ``--name`` / ``--no-name`` and everything else ``--name value``."""
    on = _BOOLEANS.get(value.lower())
    if on is None or not (name in switches or name.startswith("no-")):
        return [f"--{name}", value]
    positive = name.removeprefix("no-")
    return [f"--{positive}" if on == (positive == name) else f"--no-{positive}"]


@lru_cache(maxsize=1)
def _x265_switches() -> frozenset[str]:
    """Options of the program on the PATH that take no value: those that we know, and those that its help shows."""
    shown = subprocess.run(["x265", "--fullhelp"], capture_output=True, text=True, check=False)
    lines = re.findall(r"--\[no-\]([a-z0-9-]+)(.*)", shown.stdout + shown.stderr)
    return _X265_SWITCHES | {name for name, rest in lines if not rest.lstrip().startswith("<")} - _TAKES_OFFSETS


def _x265_version(program: str) -> str:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    lines = (shown.stderr + shown.stdout).strip().splitlines() or ["unknown version"]
    return lines[0].removeprefix("x265 [info]: ").strip()

"""The ``vsdslnet`` command. Thin: it reads arguments, calls the library, and turns errors into exit codes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Group, Parameter
from rich.console import Console

import vsdslnet
from vsdslnet.errors import (
    ArgumentError,
    ClipError,
    DslnetError,
    EngineError,
    JobError,
    MediaError,
    OutputError,
    WeightsError,
    one_line,
)

if TYPE_CHECKING:
    from vsdslnet.encode.settings import EncodeSettings
    from vsdslnet.encode.workers.interface import ChunkEngine

__all__ = ["app", "main"]

EXIT_CODES = """Exit codes: 0 done; 1 a fault of this program; 2 wrong arguments; 3 the source can't be
converted; 4 the output can't be written; 5 stopped, run the same command again to go on; 6 the model or its
engine can't run; 130 stopped with Ctrl-C, run the same command again to go on."""

_CODES: tuple[tuple[type[DslnetError], int], ...] = (
    (ArgumentError, 2),
    (OutputError, 4),
    (MediaError, 3),
    (ClipError, 3),
    (JobError, 5),
    (WeightsError, 6),
    (EngineError, 6),
)

app = App(
    name="vsdslnet",
    help="SDR video to HDR10 with DSLNet.",
    version=vsdslnet.__version__,
    help_epilogue=EXIT_CODES,
    suppress_keyboard_interrupt=False,  # else it exits in silence, and main() can't say how to go on
)
_LOOK, _INPUT, _ENCODER, _RUN = (Group(name) for name in ("Look", "Source colour", "Encoder", "Running"))


@app.command(help_epilogue=EXIT_CODES)
def encode(
    source: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    model: Annotated[str, Parameter(group=_LOOK)] = "dslnet",
    peak: Annotated[float, Parameter(group=_LOOK)] = 1000.0,
    strength: Annotated[float, Parameter(group=_LOOK)] = 1.0,
    saturation: Annotated[float, Parameter(group=_LOOK)] = 1.0,
    matrix_in: Annotated[int | None, Parameter(group=_INPUT)] = None,
    transfer_in: Annotated[int | None, Parameter(group=_INPUT)] = None,
    primaries_in: Annotated[int | None, Parameter(group=_INPUT)] = None,
    range_in: Annotated[int | None, Parameter(group=_INPUT)] = None,
    chromaloc_in: Annotated[int | None, Parameter(group=_INPUT)] = None,
    scene_cuts: Annotated[Literal["detect", "props", "none"], Parameter(group=_INPUT)] = "detect",
    codec: Annotated[Literal["hevc", "av1"], Parameter(group=_ENCODER)] = "hevc",
    encoder: Annotated[Literal["auto", "x265", "av"], Parameter(group=_ENCODER)] = "auto",
    preset: Annotated[Literal["draft", "balanced", "archive"], Parameter(group=_ENCODER)] = "balanced",
    crf: Annotated[float | None, Parameter(group=_ENCODER)] = None,
    params: Annotated[str, Parameter(group=_ENCODER)] = "",
    chunk_frames: Annotated[int, Parameter(group=_RUN)] = 120,
    workers: Annotated[int | None, Parameter(group=_RUN)] = None,
    threads: Annotated[int | None, Parameter(group=_RUN)] = None,
    device: Annotated[str, Parameter(group=_RUN)] = "auto",
    device_index: Annotated[int, Parameter(group=_RUN)] = 0,
    precision: Annotated[str, Parameter(group=_RUN)] = "auto",
    backend: Annotated[str, Parameter(group=_RUN)] = "auto",
    tile: Annotated[tuple[int, int] | None, Parameter(group=_RUN, negative="")] = None,
    engine: Annotated[Literal["local", "ray"], Parameter(group=_RUN)] = "local",
    address: Annotated[str | None, Parameter(group=_RUN)] = None,
    store: Annotated[str | None, Parameter(group=_RUN)] = None,
    restart: Annotated[bool, Parameter(group=_RUN, negative="")] = False,
    overwrite: Annotated[bool, Parameter(group=_RUN, negative="")] = False,
    keep: Annotated[bool, Parameter(group=_RUN, negative="")] = False,
    quiet: Annotated[bool, Parameter(group=_RUN, alias="-q", negative="")] = False,
    json_lines: Annotated[bool, Parameter(group=_RUN, negative="")] = False,
) -> None:
    """Convert an SDR file into an HDR10 file; run the same command again to go on after any stop.

    Audio, subtitles, chapters, attachments, tags, rotation and timestamps pass through. Of several videos, as in a
    transport stream of several programmes, the first is converted and the others are left out, by name; audio and
    subtitles of all programmes are kept (ffmpeg -map picks some). Until the file is complete, everything lies in
    OUTPUT.vsdslnet/.

    Parameters
    ----------
    source
        The SDR video file.
    output
        The HDR10 file to make: .mkv, .mp4, .m4v or .mov; by default SOURCE.hdr10.mkv beside the source.
    model
        Name of an installed model, or the path of a .safetensors file; with -lut behind it, as in dslnet-lut, its
        colours only, as 3D LUTs: near to it, and many times as fast.
    peak
        Brightest highlight, in nits (300 to 10000).
    strength
        0 is plain colour conversion, 1 the network.
    saturation
        Factor on chroma (0 to 4).
    matrix_in
        H.273 code of the source's matrix, against what it says itself.
    transfer_in
        H.273 code of the source's transfer.
    primaries_in
        H.273 code of the source's primaries.
    range_in
        1 full, 0 limited.
    chromaloc_in
        H.273 code of where its chroma sits.
    scene_cuts
        Where the network's window of frames ends.
    codec
        hevc is HDR10's own; av1 is made with SVT-AV1.
    encoder
        x265 the program, av the encoder inside PyAV; auto takes x265 if it is on the PATH.
    preset
        How much time the encoder may take.
    crf
        Constant quality; lower is better and larger. The preset has its own.
    params
        Further encoder parameters, name=value:name=value.
    chunk_frames
        Most frames in a chunk: what a crash can cost.
    workers
        Processes side by side: 1 on this machine, or as many as a Ray cluster has room for.
    threads
        Each of them computes with; by default the cores divided by the workers. A job that goes on keeps
        the number it began with.
    device
        auto, cpu or cuda.
    device_index
        Which one, from 0.
    precision
        auto, fp32, bf16 or fp16.
    backend
        auto, torch or openvino.
    tile
        Width and height of tiles in pixels; by default chosen by the memory available.
    engine
        local: this machine; ray: a Ray cluster.
    address
        Address of the Ray cluster; without it one is started here.
    store
        URL (s3://bucket/folder, or any other of fsspec's) through which the cluster's nodes exchange source and
        chunks; without it they see source and output at one path.
    restart
        Throw away what an earlier call finished, and start anew.
    overwrite
        Replace the output if it is there already.
    keep
        Keep OUTPUT.vsdslnet/ when done.
    quiet
        Say nothing but errors.
    json_lines
        Tell progress as one JSON object a line on stdout.
    """
    from vsdslnet.encode.progress import JsonReporter, PersonReporter, QuietReporter, Reporter
    from vsdslnet.encode.run import encode_file
    from vsdslnet.encode.settings import EncodeSettings, parse_parameters

    settings = EncodeSettings(
        model=model,
        peak_nits=peak,
        strength=strength,
        saturation=saturation,
        device=device,
        device_index=device_index,
        precision=precision,
        backend=backend,
        tile=tile,
        matrix_in=matrix_in,
        transfer_in=transfer_in,
        primaries_in=primaries_in,
        range_in=range_in,
        chromaloc_in=chromaloc_in,
        scene_cuts=scene_cuts,
        codec=codec,
        encoder=encoder,
        preset=preset,
        crf=crf,
        parameters=parse_parameters(params),
        chunk_frames=chunk_frames,
    )
    reporter: Reporter = QuietReporter() if quiet else JsonReporter() if json_lines else PersonReporter()
    try:
        done = encode_file(
            source,
            output or _beside(source, ".hdr10.mkv"),
            settings,
            engine=_engine(engine, workers, threads, address, store),
            reporter=reporter,
            restart=restart,
            overwrite=overwrite,
            keep=keep,
        )
    finally:
        reporter.close()
    if isinstance(reporter, JsonReporter):
        reporter.tell(
            "done",
            output=str(done.output),
            size_bytes=done.size_bytes,
            frames=done.frames,
            max_cll_nits=done.light.max_cll_nits,
            max_fall_nits=done.light.max_fall_nits,
            dropped=done.dropped,
        )
    elif not quiet:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        light = f"MaxCLL {done.light.max_cll_nits}, MaxFALL {done.light.max_fall_nits}"
        console.print(f"{done.output}: {done.frames} frames, {done.size_bytes / 1e6:.1f} MB, {light}")
        for what in done.dropped:
            console.print(f"not carried over: {what}")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class _Look:
    """What a picture is to look like, for commands that show it.

    Parameters
    ----------
    model
        Name of an installed model, or the path of a .safetensors file; with -lut behind it, as in dslnet-lut, its
        colours only, as 3D LUTs: near to it, and many times as fast.
    peak
        Brightest highlight, in nits (300 to 10000).
    strength
        0 is plain colour conversion, 1 the network.
    saturation
        Factor on chroma (0 to 4).
    """

    model: str = "dslnet"
    peak: float = 1000.0
    strength: float = 1.0
    saturation: float = 1.0

    def settings(self) -> EncodeSettings:
        """The same as settings of the library; ArgumentError names what is out of range."""
        from vsdslnet.encode.settings import EncodeSettings

        return EncodeSettings(model=self.model, peak_nits=self.peak, strength=self.strength, saturation=self.saturation)


_DEFAULT_LOOK = _Look()


@app.command(help_epilogue=EXIT_CODES)
def preview(
    source: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    at: str = "",
    look: _Look = _DEFAULT_LOOK,
) -> None:
    """Show frames before and after, and their light, as one self-contained page.

    Parameters
    ----------
    source
        The SDR video file.
    output
        The page to write, .html; by default SOURCE.preview.html beside the source.
    at
        Times, [hours:][minutes:]seconds with commas between; by default the middles of a short clip's longest shots,
        or an even spread.
    """
    settings = look.settings()
    try:
        from vsdslnet.tools.preview import parse_times, write_report
    except ImportError as error:
        raise EngineError(f"{error.name} is not installed; pip install matplotlib") from None
    page = output or _beside(source, ".preview.html")
    with _counted() as told:
        frames = write_report(source, page, settings, at_seconds=parse_times(at) if at else [], told=told)
    print(f"{page}: frames {', '.join(map(str, frames))}")


@app.command(help_epilogue=EXIT_CODES)
def lut(
    source: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    at: str = "0",
    look: _Look = _DEFAULT_LOOK,
) -> None:
    """Save a scene's colours as a .cube file for grading software: BT.709 SDR in, BT.2020 PQ out, full range.

    Parameters
    ----------
    source
        The SDR video file.
    output
        The .cube file to write; by default SOURCE.cube beside the source.
    at
        Time of a frame of the scene, [hours:][minutes:]seconds.
    """
    from vsdslnet.encode.source.times import parse_times
    from vsdslnet.tools.lut import write_lut

    settings = look.settings()
    at_seconds, *more = parse_times(at)
    if more:
        raise ArgumentError("at", at, "one time")
    cube = output or _beside(source, ".cube")
    print(f"{cube}: frame {write_lut(source, cube, settings, at_seconds=at_seconds)}")


@app.command(help_epilogue=EXIT_CODES)
def info(source: Path, /) -> None:
    """Say what a source holds, and whether it can be converted.

    Parameters
    ----------
    source
        The video file.
    """
    from vsdslnet.encode.source.probe import probe

    found = probe(source)
    rate = found.frame_rate[0] / found.frame_rate[1]
    length = "unknown length" if found.duration_seconds is None else f"{found.duration_seconds:.3f} s"
    turned = ", turned" if found.display_matrix else ""
    print(f"{source}: {found.width}x{found.height}{turned}, {rate:.3f} fps, {length}; SDR, can be converted")


@app.command(help_epilogue=EXIT_CODES)
def models() -> None:
    """List the installed models."""
    from vsdslnet import weights

    for name in weights.available_models():
        file = weights.read(weights.find(name))
        print(f"{name}: {file.config.frames} frames, {file.config.features} features, {file.sha256[:16]}")
        print(f"{name}{weights.LUT_SUFFIX}: the same as 3D LUTs, for previews and for machines that are too slow")


@app.command(help_epilogue=EXIT_CODES)
def bench(*, width: int = 640, height: int = 360, frames: int = 8, model: str = "dslnet", device: str = "auto") -> None:
    """Measure frames a second of the conversion alone, on a made-up clip.

    Parameters
    ----------
    width
        Of the clip, in pixels.
    height
        Of the clip, in pixels.
    frames
        Timed, after one that is not.
    model
        Name of an installed model, or the path of a .safetensors file; with -lut behind it, as in dslnet-lut, its
        colours only, as 3D LUTs: near to it, and many times as fast.
    device
        auto, cpu or cuda.
    """
    from vsdslnet.tools.bench import conversion_speed

    speed = conversion_speed(width=width, height=height, frames=frames, model=model, device=device)
    print(f"{width}x{height}: {speed:.3f} fps, {width * height * speed / 1e6:.3f} Mpixel/s")


@app.command(help_epilogue=EXIT_CODES)
def demo(folder: Path = Path("demo"), *, model: str = "dslnet", picture: Path | None = None) -> None:
    """Make a small SDR clip, convert it to HDR10, and draw both.

    Parameters
    ----------
    folder
        Where dusk_sdr.mkv, dusk_hdr10.mkv and dusk_before_after.png go.
    model
        Name of an installed model, or the path of a .safetensors file; with -lut behind it, as in dslnet-lut, its
        colours only, as 3D LUTs: near to it, and many times as fast.
    picture
        The PNG to draw, if not the one in the folder.
    """
    from vsdslnet.tools.demo import before_after_png, write_sdr_clip

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can't be made ({error.strerror}); name another folder") from None
    sdr = write_sdr_clip(folder / "dusk_sdr.mkv")
    encode(sdr, output=folder / "dusk_hdr10.mkv", model=model, overwrite=True, restart=True)
    print(before_after_png(sdr, picture or folder / "dusk_before_after.png", model=model))


def _beside(source: Path, suffix: str) -> Path:
    """The source's name with another suffix."""
    if not source.name:  # . and / are directories, and have none to change
        raise MediaError(f"{source}: is a directory; name a video file in it")
    return source.with_suffix(suffix)


@contextmanager
def _counted() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on the error stream, from the first call with (what, done, total) on; gone at the end."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    task = progress.add_task("", total=None)

    def told(what: str, done: int, total: int) -> None:
        progress.start()
        if what != progress.tasks[task].description:
            progress.reset(task, description=what)  # another kind of step: the time that one takes says nothing
        progress.update(task, completed=done, total=total)

    try:
        yield told
    finally:
        if progress.live.is_started:  # else there is an error to tell, and rich would print an empty line
            progress.stop()


def _engine(name: str, workers: int | None, threads: int | None, address: str | None, store: str | None) -> ChunkEngine:
    if workers is not None and not 1 <= workers <= 4096:
        raise ArgumentError("workers", workers, "1 to 4096 processes")
    if threads is not None and not 1 <= threads <= 1024:
        raise ArgumentError("threads", threads, "1 to 1024 threads")
    for option, value in (("address", address), ("store", store)):
        if value is not None and name != "ray":
            raise ArgumentError(option, value, "only with --engine ray", "add it, or leave this out")
    if name == "ray":
        from vsdslnet.encode.workers.ray_cluster import RayEngine

        return RayEngine(address=address, workers=workers, threads=threads, store=store)
    from vsdslnet.encode.workers.local import LocalEngine

    return LocalEngine(workers=workers or 1, threads=threads)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; never returns."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        command = " ".join(["vsdslnet", *(error.command_chain or ())])
        _say(f"{one_line(error)} See {command} --help.")
        sys.exit(2)
    except DslnetError as error:
        _say(str(error))
        sys.exit(next((code for kind, code in _CODES if isinstance(error, kind)), 1))
    except KeyboardInterrupt:
        _say("stopped; run the same command again to go on")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(5)
    sys.exit(0)


def _terminated(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(f"vsdslnet: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()

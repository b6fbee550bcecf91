"""The ``vsdslnet`` command. Thin: it reads arguments, calls the library, and turns errors into exit codes."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

import vsdslnet
from vsdslnet.command_options import with_options
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import (
    ArgumentError,
    BackendError,
    ClipError,
    DslnetError,
    ExecutorError,
    JobError,
    MediaError,
    MissingPackageError,
    OutputError,
    WeightsError,
    one_line,
    printable,
)
from vsdslnet.options import BackendOptions, JobOptions, ModelOptions, PictureOptions
from vsdslnet.standard_streams import prepare_standard_streams

if TYPE_CHECKING:
    from vsdslnet.encode.source.given import Given
    from vsdslnet.encode.workers.interface import Executor

__all__ = ["app", "main"]

EXIT_CODES = """Exit codes: 0 done; 1 a fault of this program; 2 wrong arguments; 3 the source can't be
converted; 4 the output can't be written; 5 stopped, run the same command again to go on; 6 the model can't run
here, or a package or a cluster is missing; 130 stopped with Ctrl-C, run the same command again to go on."""

_CODES: tuple[tuple[type[DslnetError], int], ...] = (
    (ArgumentError, 2),
    (OutputError, 4),
    (MediaError, 3),
    (ClipError, 3),
    (JobError, 5),
    (WeightsError, 6),
    (BackendError, 6),
    (ExecutorError, 6),
    (MissingPackageError, 6),
)

_RENAMED = {"--engine": "--executor"}
"""Options that had another name in the version before."""

ScriptArguments = Annotated[list[str] | None, Parameter(alias="-a", negative="")]

app = App(
    name="vsdslnet",
    help="SDR video to HDR10 with DSLNet.",
    version=vsdslnet.__version__,
    help_epilogue=EXIT_CODES,
    suppress_keyboard_interrupt=False,  # else it exits in silence, and main() can't say how to go on
)


@app.command(help_epilogue=EXIT_CODES)
@with_options(settings=EncodeSettings, job=JobOptions)
def encode(
    *sources: Path,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    output_dir: Path | None = None,
    tracks: Path | None = None,
    script_arg: ScriptArguments = None,
    settings: EncodeSettings,
    job: JobOptions,
) -> None:
    """Convert SDR files into HDR10 files; run the same command again to go on after any stop.

    Audio, subtitles, chapters, attachments, covers, tags, rotation and timestamps pass through; text subtitles become
    what the container holds. Before the first frame is converted the whole file is put together in rehearsal: what will
    be missing is said, and sound or subtitles that another container would hold are not left out unasked (--drop).
    Of several videos, as in a transport stream of several programmes, the first is converted; audio and subtitles of
    all programmes are kept (ffmpeg -map picks some). Until a file is complete, everything lies in OUTPUT.vsdslnet/.

    A source that ends in .vpy or .py is a VapourSynth script: its output 0 is converted, whatever SDR picture that is.
    Sound, subtitles, chapters, attachments, tags and times come from the file that --tracks names. A script is
    evaluated as vspipe does it, in its own folder, by this command and by every worker.

    Several files are converted one after the other. One that fails does not stop the rest: a summary names it, and the
    exit code is the first failure's. Outputs that are there already are kept, so the same command goes on.

    Parameters
    ----------
    sources
        The SDR video files, or VapourSynth scripts.
    output
        The HDR10 file to make: .mkv, .mp4, .m4v or .mov; by default SOURCE.hdr10.mkv beside the source. ProRes and
        DNxHR: .mov. Of exr, png and tiff a pattern, as folder/%06d.exr; by default SOURCE.hdr10/%06d.exr.
    output_dir
        Folder for the HDR10 files, each named as by default; by default each lies beside its source.
    tracks
        Beside a script: the file whose sound, subtitles, chapters, attachments and tags go into the output, and whose
        times the frames have if there are as many at the same rate; else they have the script's rate. By default the
        output has the picture alone.
    script_arg
        A variable that the script finds set, as name=value, a text; may be given again for another. As vspipe's -a.
    """
    from vsdslnet.encode.batch import conversions_of, encode_files

    if not sources:
        raise ArgumentError("source", "", "one file or more", "name a video file")
    files = conversions_of(
        sources,
        output=output,
        output_dir=output_dir,
        settings=settings,
        tracks=tracks,
        script_args=_arguments(script_arg),
    )
    failure = encode_files(files, settings, job, executor=_executor(job))
    if failure is not None:
        sys.exit(_exit_code(failure))


@app.command(help_epilogue=EXIT_CODES)
@with_options(picture=PictureOptions)
def preview(
    source: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    at: str = "",
    script_arg: ScriptArguments = None,
    compare: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    picture: PictureOptions,
) -> None:
    """Show frames before and after, and their light, as one self-contained page; or versions of them, to choose by eye.

    Parameters
    ----------
    source
        The SDR video file, or a VapourSynth script.
    output
        The page to write, .html; by default SOURCE.preview.html beside the source.
    at
        Times, [hours:][minutes:]seconds with commas between; by default the middles of a short clip's longest shots,
        or an even spread.
    script_arg
        A variable that a script finds set, as name=value; may be given again for another.
    compare
        An option of the look with values, as white=100,150,203 or look=none,film,mine.safetensors: these versions side
        by side, with each one's light. And, or, the path of the frame's own HDR picture (as fit reads them): how far
        each version is from it, and where.
    """
    settings = EncodeSettings(**vars(picture))
    from vsdslnet.encode.source.times import parse_times
    from vsdslnet.tools.comparison import write_comparison
    from vsdslnet.tools.preview import write_report

    page = output or _beside(source, ".preview.html")
    at_seconds = parse_times(at) if at else []
    with _counted() as told:
        if compare:
            frames = write_comparison(
                _given(source, script_arg), page, settings, compare, at_seconds=at_seconds, told=told
            )
        else:
            frames = write_report(_given(source, script_arg), page, settings, at_seconds=at_seconds, told=told)
    print(printable(f"{page}: frames {', '.join(map(str, frames))}"))


@app.command(help_epilogue=EXIT_CODES)
@with_options(picture=PictureOptions)
def lut(
    source: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    at: str = "0",
    script_arg: ScriptArguments = None,
    picture: PictureOptions,
) -> None:
    """Save a scene's colours as a .cube file for grading software: BT.709 SDR in, BT.2020 PQ out, full range.

    Parameters
    ----------
    source
        The SDR video file, or a VapourSynth script.
    output
        The .cube file to write; by default SOURCE.cube beside the source.
    at
        Time of a frame of the scene, [hours:][minutes:]seconds.
    script_arg
        A variable that a script finds set, as name=value; may be given again for another.
    """
    from vsdslnet.encode.source.times import parse_times
    from vsdslnet.tools.lut import write_lut

    settings = EncodeSettings(**vars(picture))
    at_seconds, *more = parse_times(at)
    if more:
        raise ArgumentError("at", at, "one time")
    cube = output or _beside(source, ".cube")
    frame = write_lut(_given(source, script_arg), cube, settings, at_seconds=at_seconds)
    print(printable(f"{cube}: frame {frame}"))


@app.command(help_epilogue=EXIT_CODES)
def info(source: Path, /, *, tracks: Path | None = None, script_arg: ScriptArguments = None) -> None:
    """Say what a source holds, whether it can be converted, what each kind of output would lack, and the precision.

    Frames all over the file are looked at; an encode looks at every frame before it begins.

    Parameters
    ----------
    source
        The video file, or a VapourSynth script.
    tracks
        Beside a script: the file that all but the picture comes from.
    script_arg
        A variable that a script finds set, as name=value; may be given again for another.
    """
    from vsdslnet.encode.container.passage import outlook
    from vsdslnet.encode.source.colour import colours_in_words
    from vsdslnet.encode.source.further_on import look_further_on
    from vsdslnet.encode.source.look import look_at
    from vsdslnet.encode.source.tracks import open_tracks
    from vsdslnet.tools.bench import machine_line

    named = _given(source, script_arg, tracks)
    found = look_at(named, EncodeSettings())
    left_out = (*found.left_out, *look_further_on(found))
    rate = float(found.frame_rate)
    length = "unknown length" if found.duration_seconds is None else f"{found.duration_seconds:.3f} s"
    turned = ", turned" if found.display_matrix else ""
    size = f"{found.width}x{found.height}"
    print(printable(f"{source}: {size}{turned}, {rate:.3f} fps, {length}; SDR, can be converted"))
    colours = colours_in_words(found.tags, is_rgb=found.is_rgb, width=found.width, height=found.height)
    print(f"colours: {colours}")
    for what in left_out:
        print(f"will not be in the file: {what}")
    if named.beside is not None:
        with open_tracks(named.beside) as media:
            print("\n".join(outlook(media, source, main=found.track)))
    print(machine_line(BackendOptions()))


@app.command(help_epilogue=EXIT_CODES)
def models() -> None:
    """List the installed models and looks."""
    from vsdslnet import looks, weights

    for name in weights.available_models():
        file = weights.read(weights.find(name))
        print(f"{name}: {file.config.frames} frames, {file.config.features} features, {file.sha256[:16]}")
    for name in weights.available_luts():
        learnt_from = weights.find(name).stem
        print(f"{name}: 3D LUTs learnt from {learnt_from}, for previews and for machines that are too slow")
    for name in looks.available_looks():
        print(f"--look {name}: {looks.read_look(name).sha256[:16]}")


@app.command(help_epilogue=EXIT_CODES)
@with_options(network=ModelOptions)
def fit(
    *,
    sdr: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    hdr: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
    output: Annotated[Path, Parameter(alias="-o")],
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    network: ModelOptions,
) -> None:
    """Make a look, for --look, from pictures or a film that exist in both SDR and HDR.

    The look is what their grades have in common; it is also said what it gains on each example, fitted to the others.
    Every look is checked over time on pictures of the model: nothing flickers or pumps more than without it.

    Parameters
    ----------
    sdr
        SDR pictures (PNG, TIFF, JPEG, AVIF, HEIC) or one SDR video. Leave it out if --hdr is gain-map photographs,
        which hold both.
    hdr
        The same pictures in HDR, in the same sorted order: PNG or TIFF of 16 bits, AVIF or HEIC of 10, in PQ BT.2020
        unless they say otherwise, or OpenEXR with 1.0 at 203 nits; or one HDR10 or HLG video; or gain-map JPEGs alone.
    output
        The .safetensors file to write.
    overwrite
        Replace the output if it is there already.
    """
    from vsdslnet.encode.place import check_possible

    if output.suffix != ".safetensors":
        raise ArgumentError("output", str(output), "a name that ends in .safetensors")
    check_possible(output)
    if output.exists() and not overwrite:
        raise OutputError(f"{output}: is there already; name another or add --overwrite")
    if not output.absolute().parent.is_dir():
        raise OutputError(f"{output}: its folder does not exist")
    try:
        from vsdslnet.training.fit.examples import examples_of
        from vsdslnet.training.fit.grade import fit_look, report
        from vsdslnet.training.fit.steadiness import kept_steady
    except ModuleNotFoundError as error:
        raise MissingPackageError("vsdslnet fit", error.name or "a package", "pip install 'vsdslnet[train]'") from None
    from vsdslnet.looks import save_look

    examples = examples_of(sdr or [], hdr or [])
    fitted = kept_steady(fit_look(examples), network.model)
    text = report(fitted, len(examples))
    try:
        save_look(fitted.look, output, notes=text)
    except OSError as error:
        raise OutputError(f"{output}: can't be written ({error.strerror})") from None
    print(f"{text}\n{output}: use it with look= or --look")


@app.command(help_epilogue=EXIT_CODES)
@with_options(backend=BackendOptions)
def bench(
    film: Path | None = None,
    /,
    *,
    width: int = 640,
    height: int = 360,
    frames: int = 8,
    script_arg: ScriptArguments = None,
    backend: BackendOptions,
) -> None:
    """Measure how fast this machine converts a grey clip, or estimate how long a film would take.

    Parameters
    ----------
    film
        A video file. Some of its frames are converted by every installed model; the estimate is for all of them,
        without the encoder. Or a VapourSynth script: without its own filters too.
    width
        Width of the clip, in pixels.
    height
        Height of the clip, in pixels.
    frames
        Frames that are timed; one before them is not.
    script_arg
        A variable that a script finds set, as name=value; may be given again for another.
    """
    from vsdslnet.tools.bench import conversion_speed, machine_line

    if film is not None:
        _print_film_cost(_given(film, script_arg), backend)
    else:
        speed = conversion_speed(width=width, height=height, frames=frames, backend=backend)
        print(f"{width}x{height}: {speed:.3f} fps, {width * height * speed / 1e6:.3f} Mpixel/s")
    print(machine_line(backend))


def _print_film_cost(source: Given, backend: BackendOptions) -> None:
    from vsdslnet.tools.film_cost import film_of, model_costs

    film = film_of(source)
    print(
        f"{source.path}: {film.width}x{film.height}, {film.frames} frames; decoded at {film.decoded_a_second:.0f} fps"
    )
    print(f"{'model':<20} {'precision':<9} {'fps':>8} {'hours':>8} {'machines for a day':>18}")
    with _counted() as told:
        costs = list(model_costs(film, backend, told=told))
    for cost in costs:
        speed, nodes = f"{cost.frames_a_second:.3g}", cost.nodes_for_a_day
        print(f"{cost.model:<20} {cost.precision:<9} {speed:>8} {cost.hours:>8.1f} {nodes:>18}")


@app.command(help_epilogue=EXIT_CODES)
@with_options(network=ModelOptions)
def demo(folder: Path = Path("demo"), *, picture: Path | None = None, network: ModelOptions) -> None:
    """Make a small SDR clip, convert it to HDR10, and draw both.

    Parameters
    ----------
    folder
        Where dusk_sdr.mkv, dusk_hdr10.mkv and dusk_before_after.png go.
    picture
        The PNG to draw, if not the one in the folder.
    """
    from vsdslnet.tools.demo import before_after_png, write_sdr_clip

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can't be made ({error.strerror}); name another folder") from None
    sdr = write_sdr_clip(folder / "dusk_sdr.mkv")
    encode(sdr, output=folder / "dusk_hdr10.mkv", model=network.model, overwrite=True, restart=True)
    print(before_after_png(sdr, picture or folder / "dusk_before_after.png", model=network.model))


def _given(source: Path, script_arg: list[str] | None, tracks: Path | None = None) -> Given:
    """What is named on the command line, looked for."""
    from vsdslnet.encode.source.given import given

    named = given(source, tracks=tracks, arguments=_arguments(script_arg))
    named.check()
    return named


def _arguments(given: list[str] | None) -> dict[str, str]:
    """``name=value`` each -> names and values."""
    for text in given or []:
        if "=" not in text:
            raise ArgumentError("script-arg", text, "name=value", "the name of a variable, and its text")
    return dict(text.split("=", 1) for text in given or [])


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


def _executor(job: JobOptions) -> Executor:
    if job.executor == "ray":
        from vsdslnet.encode.workers.ray_cluster import RayExecutor

        return RayExecutor(address=job.address, workers=job.workers, threads=job.threads, store=job.store)
    from vsdslnet.encode.workers.local import LocalExecutor

    return LocalExecutor(workers=job.workers or 1, threads=job.threads)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; never returns."""
    signal.signal(signal.SIGTERM, _terminated)
    prepare_standard_streams()
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        command = " ".join(["vsdslnet", *(error.command_chain or ())])
        renamed = [f"{old} is called {new} now." for old, new in _RENAMED.items() if old in str(error)]
        _say(" ".join([one_line(error), *renamed, f"See {command} --help."]))
        sys.exit(2)
    except DslnetError as error:
        _say(str(error))
        sys.exit(_exit_code(error))
    except KeyboardInterrupt:
        _say("stopped; run the same command again to go on")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(5)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _say(f"what there is to say can't be written ({error.strerror})")
        sys.exit(4)
    sys.exit(0)


def _exit_code(error: DslnetError) -> int:
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)


def _terminated(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(f"vsdslnet: {printable(text)}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""Many files, one after the other: which, and what each is to become."""

from __future__ import annotations

import contextlib
import glob
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from vsdslnet.encode.form import Form, form_of
from vsdslnet.encode.job.folder import holds_job, job_folder
from vsdslnet.encode.picture_names import PictureNames
from vsdslnet.encode.progress import JsonReporter, PersonReporter, QuietReporter, Reporter
from vsdslnet.encode.run import encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.given import Given, given
from vsdslnet.encode.workers.interface import Executor
from vsdslnet.errors import (
    ArgumentError,
    BackendError,
    DslnetError,
    ExecutorError,
    MediaError,
    OutputError,
    WeightsError,
    printable,
)
from vsdslnet.options import JobOptions

__all__ = ["Conversion", "conversions_of", "encode_files"]


class Conversion(NamedTuple):
    """A file and what it becomes; beside a script, where its tracks come from and its arguments."""

    source: Path
    output: Path
    tracks: Path | None = None
    script_args: tuple[tuple[str, str], ...] = ()

    def given(self) -> Given:
        """See :func:`~vsdslnet.encode.source.given.given`."""
        return given(self.source, tracks=self.tracks, arguments=dict(self.script_args))


def conversions_of(
    sources: Sequence[Path],
    *,
    output: Path | None,
    output_dir: Path | None,
    settings: EncodeSettings | None = None,
    tracks: Path | None = None,
    script_args: Mapping[str, str] | None = None,
) -> list[Conversion]:
    """What to make of which file; ``output_dir`` is made where there is none.

    Names with ``*``, ``?`` or ``[`` that are no file's are patterns: Windows' shells leave them to the program.
    ArgumentError for what contradicts itself, MediaError for a pattern without a file.
    """
    form = form_of(settings or EncodeSettings())
    found = [file for source in sources for file in _expanded(source)]
    if output is not None and output_dir is not None:
        raise ArgumentError("output", str(output), "only without --output-dir", "leave one of them out")
    if output is not None and len(found) > 1:
        raise ArgumentError("output", str(output), f"only with one source, not {len(found)}", "use --output-dir")
    if tracks is not None and len(found) > 1:
        raise ArgumentError("tracks", str(tracks), f"only with one source, not {len(found)}", "one script at a time")
    if output_dir is None:
        outputs = [output or _named(source, form) for source in found]
    else:
        outputs = [output_dir / _named(source, form).relative_to(source.parent) for source in found]
        try:
            output_dir.expanduser().mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{output_dir}: can't be made ({error.strerror}); name another folder") from None
    arguments = tuple((script_args or {}).items())
    files = [Conversion(source, target, tracks, arguments) for source, target in zip(found, outputs, strict=True)]
    _check_differ(files)
    return files


def encode_files(
    files: Sequence[Conversion], settings: EncodeSettings, options: JobOptions, *, executor: Executor
) -> DslnetError | None:
    """Convert one file after the other and tell of it; the first failure, None if there is none.

    A single one's failure is raised instead. Of several, one that fails does not stop the rest, unless it is the
    network or what it runs on (BackendError, ExecutorError, WeightsError): the others would fail alike.
    """
    if len(files) == 1:
        _encode(files[0], settings, options, executor)
        return None
    failures: dict[Conversion, DslnetError] = {}

    def failed(file: Conversion, error: DslnetError) -> None:
        failures[file] = error
        _say(str(error))
        _tell_program(options, "failed", source=str(file.source), error=str(error))

    for file in files:  # a wrong name is told now, not when its turn comes, days from now
        try:
            file.given().check()
        except DslnetError as error:
            failed(file, error)
    kept = 0
    for number, file in enumerate(files, 1):
        if file in failures:
            continue
        _tell_program(
            options, "file", number=number, files=len(files), source=str(file.source), output=str(file.output)
        )
        if _is_there(file.output, settings) and not options.overwrite and not holds_job(job_folder(file.output)):
            kept += 1
            _tell_person(options, f"{file.output}: is there already, and is kept (--overwrite replaces it)")
            continue
        try:
            _encode(file, settings, options, executor, within=f"{number} of {len(files)}: ")
        except (BackendError, ExecutorError, WeightsError):
            raise
        except DslnetError as error:
            failed(file, error)
    done = len(files) - kept - len(failures)
    _tell_program(options, "summary", done=done, kept=kept, failed=len(failures))
    _tell_person(options, f"{len(files)} files: {done} done, {kept} there already, {len(failures)} failed")
    for file, failure in failures.items():
        told, name = str(failure), f"{file.source}: "
        _tell_person(options, f"failed: {name}{told.removeprefix(name)}")
    return next(iter(failures.values()), None)


def _say(text: str) -> None:
    """An error, for a person."""
    print(f"vsdslnet: {printable(text)}", file=sys.stderr)


def _encode(
    file: Conversion, settings: EncodeSettings, options: JobOptions, executor: Executor, *, within: str = ""
) -> None:
    if options.store is not None and file.given().is_script:
        raise ArgumentError(
            "store", options.store, "only with video files", "use a path that all nodes see for a script"
        )
    reporter: Reporter = PersonReporter(within=within)
    if options.quiet or options.json_lines:
        reporter = QuietReporter() if options.quiet else JsonReporter()
    try:
        done = encode_file(
            file.source,
            file.output,
            settings,
            executor=executor,
            reporter=reporter,
            tracks=file.tracks,
            script_args=dict(file.script_args),
            drop=_numbers(options.drop),
            restart=options.restart,
            overwrite=options.overwrite,
            keep=options.keep,
        )
    finally:
        reporter.close()
    _tell_program(
        options,
        "done",
        output=str(done.output),
        size_bytes=done.size_bytes,
        frames=done.frames,
        max_cll_nits=done.light.max_cll_nits,
        max_fall_nits=done.light.max_fall_nits,
        dropped=done.dropped,
    )
    light = f"MaxCLL {done.light.max_cll_nits}, MaxFALL {done.light.max_fall_nits}"
    if settings.transfer != "pq":  # which has no such thing in the file
        light = f"HLG, brightest {done.light.max_cll_nits} nits"
    _tell_person(options, f"{done.output}: {done.frames} frames, {done.size_bytes / 1e6:.1f} MB, {light}")
    for what in done.dropped:
        _tell_person(options, f"not carried over: {what}")


def _numbers(drop: str | None) -> list[int]:
    """``1,3`` -> numbers."""
    try:
        return [int(part) for part in (drop or "").split(",") if part.strip()]
    except ValueError:
        raise ArgumentError("drop", drop, "numbers with commas between") from None


def _tell_person(options: JobOptions, text: str) -> None:
    if not options.quiet and not options.json_lines:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(printable(text))


def _tell_program(options: JobOptions, event: str, **values: object) -> None:
    if options.json_lines and not options.quiet:
        JsonReporter().tell(event, **values)


def _named(source: Path, form: Form) -> Path:
    if not source.name:  # . and / are directories, and have none to change
        raise MediaError(f"{source}: is a directory; name a video file in it")
    suffix = form.suffixes[0]
    return source.with_suffix(".hdr10") / f"%06d{suffix}" if form.is_sequence else source.with_suffix(f".hdr10{suffix}")


def _is_there(output: Path, settings: EncodeSettings) -> bool:
    """Whether an output is there, complete as far as can be seen."""
    return PictureNames(output).sidecar.exists() if form_of(settings).is_sequence else output.exists()


def _expanded(source: Path) -> list[Path]:
    if not glob.has_magic(str(source)):
        return [source]
    with contextlib.suppress(OSError):  # a name that no file can have
        if source.exists():
            return [source]
    pattern = source.expanduser()
    found = sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
    if not found:
        raise MediaError(f"{source}: no file has such a name; check the pattern")
    return found


def _check_differ(files: list[Conversion]) -> None:
    """Two sources that would become one file are refused before either is begun."""
    seen: dict[Path, Path] = {}
    for file in files:
        place = file.output.expanduser().absolute()
        if place in seen:
            raise ArgumentError(
                "source", str(file.source), f"not beside {seen[place]}: both would become {file.output}", "rename one"
            )
        seen[place] = file.source

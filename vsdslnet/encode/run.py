"""One command from an SDR file to what is delivered."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from vsdslnet.encode.chunk.file import reason
from vsdslnet.encode.container.passage import passage_of
from vsdslnet.encode.delivery import Delivery, delivery_of, light_of
from vsdslnet.encode.form import Form, form_of
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.folder import clear, job_folder, locked, sweep
from vsdslnet.encode.job.journal import Journal
from vsdslnet.encode.picture_names import PictureNames
from vsdslnet.encode.prepare import check_output, check_room, prepare
from vsdslnet.encode.progress import QuietReporter, Reporter
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.given import Given, given
from vsdslnet.encode.source.probe import main_video
from vsdslnet.encode.source.tracks import open_tracks, picture_of
from vsdslnet.encode.workers.interface import Executor
from vsdslnet.encode.workers.local import LocalExecutor
from vsdslnet.errors import ArgumentError, ClipError, JobError, MediaError
from vsdslnet.hdr10 import ContentLight

__all__ = ["Finished", "encode_file"]


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What an encode made. ``dropped``: what the output lacks, in words; it was told before the work."""

    output: Path
    size_bytes: int
    frames: int
    light: ContentLight
    dropped: list[str]


def encode_file(
    source: Path | str,
    output: Path | str,
    settings: EncodeSettings | None = None,
    *,
    executor: Executor | None = None,
    reporter: Reporter | None = None,
    tracks: Path | str | None = None,
    script_args: Mapping[str, str] | None = None,
    drop: Collection[int] = (),
    restart: bool = False,
    overwrite: bool = False,
    keep: bool = False,
) -> Finished:
    """Convert ``source`` into ``output``, going on where an earlier call of the same kind was stopped.

    A source that ends in .vpy or .py is a VapourSynth script, whose output 0 is converted: ``tracks`` is the file that
    its sound, subtitles, chapters, attachments, tags and times come from, ``script_args`` the variables that it finds
    set. ``drop`` are streams of the source (beside a script, of ``tracks``), by number, that the output does without.

    ``output`` of codecs that make a picture a frame is a pattern, as ``folder/%06d.exr``; its folder is made.

    Until it is complete, everything lies in ``<output>.vsdslnet/``; ``keep`` leaves that folder. MediaError,
    ClipError, BackendError or ArgumentError: nothing was begun. OutputError: the place is wrong. JobError: stopped,
    and the same call goes on with what is finished. Without ``executor`` one process of this machine makes the chunks;
    without ``reporter`` nobody hears of it.

    >>> from vsdslnet import EncodeSettings, encode_file
    >>> done = encode_file(source, output, EncodeSettings(model="dslnet-lut", preset="draft", encoder="av"))
    >>> done.frames, done.dropped, done.light.max_cll_nits <= 1000
    (8, [], True)
    """
    settings, executor = settings or EncodeSettings(), executor or LocalExecutor()
    reporter = reporter or QuietReporter()
    named, output = given(source, tracks=tracks, arguments=script_args), Path(output).expanduser().absolute()
    named.check()  # what is wrong with the source comes first
    check_output(named, output, settings, overwrite=overwrite)
    form = form_of(settings)
    if form.is_sequence:
        if drop:
            raise ArgumentError("drop", list(drop), "only where the output is one file", "leave it out")
    else:
        _check_passage(named, output, drop, form)  # before the film is looked through
    executor.check(settings)
    folder = job_folder(output)
    made_folder = form.is_sequence and PictureNames(output).make_folder()
    try:
        with locked(folder):
            check_room(named.beside or named.path, folder)
            sweep(folder, everything=restart)
            try:
                finished = _work(named, output, settings, drop, executor, reporter)
            except (ArgumentError, ClipError, MediaError):
                if not Journal.begun(folder):  # nothing to go on with
                    sweep(folder, everything=True)
                raise
            if not keep:
                clear(folder)
            return finished
    except OSError as error:
        raise JobError(
            f"{folder}: can't be written ({reason(error)}); what is finished is kept: run this command again"
        ) from None
    finally:
        if made_folder:  # and nothing was put there
            with contextlib.suppress(OSError):
                output.parent.rmdir()


def _check_passage(source: Given, output: Path, drop: Collection[int], form: Form) -> None:
    with open_tracks(source.beside) as media:
        # Beside a script there may be sound alone.
        picture = picture_of(media) if source.is_script else main_video(media, source.path)
        main = None if picture is None else picture.index
        passage_of(media, output, main=main, drop=drop, suffixes=form.suffixes)


def _work(
    source: Given,
    output: Path,
    settings: EncodeSettings,
    drop: Collection[int],
    executor: Executor,
    reporter: Reporter,
) -> Finished:
    folder = job_folder(output)
    prepared = prepare(source, folder, settings, threads=executor.threads, scanned=reporter.scanned)
    job = prepared.job
    journal = Journal(folder, suffix=job.suffix)
    delivery = delivery_of(job, journal, output, drop)
    left_out: list[str] = []
    if not delivery.is_complete():
        left_out = [*job.source.left_out, *delivery.check(prepared.trial.stream)]
        reporter.noted(left_out, prepared.trial.warnings)
        _make(job, journal, delivery, executor, reporter)
        reporter.muxing()
        delivery.finish()
    return Finished(
        output=output,
        size_bytes=delivery.size_bytes(),
        frames=job.frames,
        light=light_of(journal),
        dropped=left_out,
    )


def _make(job: Job, journal: Journal, delivery: Delivery, executor: Executor, reporter: Reporter) -> None:
    """All chunks that are not finished yet."""
    pending = journal.pending(job.chunks, delivered=delivery.has)
    for result in journal.finished.values():  # an earlier call may have been stopped before one was taken
        delivery.take(job.chunks[result.index], result)
    reporter.planned(job, journal)
    if not pending:
        return
    with contextlib.closing(executor.run(job, journal.folder, pending, reporter.working)) as results:  # type: ignore[type-var]
        for result in results:
            journal.record(result)
            delivery.take(job.chunks[result.index], result)
            reporter.finished(result)

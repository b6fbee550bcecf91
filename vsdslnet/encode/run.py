"""One command from an SDR file to a finished HDR10 file."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av

from vsdslnet.encode.chunk.file import reason
from vsdslnet.encode.container.mux import mux
from vsdslnet.encode.container.passage import passage_of
from vsdslnet.encode.container.rehearsal import rehearse
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.folder import clear, job_folder, locked, sweep
from vsdslnet.encode.job.journal import Journal, finish_durably, write_durably
from vsdslnet.encode.prepare import check_output, check_room, hdr10plus_json, prepare
from vsdslnet.encode.progress import QuietReporter, Reporter
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.probe import main_video, open_media
from vsdslnet.encode.workers.interface import Executor
from vsdslnet.encode.workers.local import LocalExecutor
from vsdslnet.errors import ArgumentError, ClipError, JobError, MediaError
from vsdslnet.hdr10 import ContentLight

if TYPE_CHECKING:
    from vsdslnet.hdr10plus.programme import Programme

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
    drop: Collection[int] = (),
    restart: bool = False,
    overwrite: bool = False,
    keep: bool = False,
) -> Finished:
    """Convert ``source`` into ``output``, going on where an earlier call of the same kind was stopped.

    ``drop`` are streams of the source, by number, that the output does without.

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
    source, output = Path(source).expanduser(), Path(output).expanduser().absolute()
    open_media(source).close()  # what is wrong with the source comes first
    check_output(source, output, settings, overwrite=overwrite)
    with open_media(source) as media:  # before the film is looked through
        passage_of(media, output, main=main_video(media, source).index, drop=drop)
    executor.check(settings)
    folder = job_folder(output)
    try:
        with locked(folder):
            check_room(source, folder)
            sweep(folder, everything=restart)
            try:
                finished = _work(source, output, settings, drop, executor, reporter)
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


def _work(
    source: Path,
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
    if _already(journal, output):
        return _finished(output, job, journal, [])
    left_out = [*job.source.left_out, *rehearse(job, prepared.trial.stream, output=output, drop=drop)]
    reporter.noted(left_out, prepared.trial.warnings)
    pending = journal.pending(job.chunks)
    reporter.planned(job, journal)
    if pending:
        with contextlib.closing(executor.run(job, folder, pending, reporter.working)) as results:  # type: ignore[type-var]
            for result in results:
                journal.record(result)
                reporter.finished(result)
    light = _light(journal) if settings.transfer == "pq" else None  # what the file says of it
    reporter.muxing()
    partial = folder / f".final.{os.getpid()}.partial"
    dynamic = _dynamic(job, journal)
    mux(job, folder, light, dynamic=dynamic, output=output, target=partial, drop=drop)
    _check(partial, job, light)
    journal.record_muxed(partial.stat().st_size)
    if dynamic is not None:
        write_durably(hdr10plus_json(output), dynamic.json_text().encode())
    finish_durably(partial, output)
    return _finished(output, job, journal, left_out)


def _finished(output: Path, job: Job, journal: Journal, dropped: list[str]) -> Finished:
    return Finished(
        output=output,
        size_bytes=output.stat().st_size,
        frames=job.frames,
        light=_light(journal),
        dropped=dropped,
    )


def _light(journal: Journal) -> ContentLight:
    results = journal.finished.values()
    return ContentLight.measured(
        max(result.max_nits for result in results), max(result.max_average_nits for result in results)
    )


def _dynamic(job: Job, journal: Journal) -> Programme | None:
    """HDR10+ metadata, if it is asked for."""
    settings = job.identity.settings
    if not settings.hdr10plus:
        return None
    from vsdslnet.hdr10plus.programme import programme_of  # here, as it loads torch

    lights = [light for result in journal.finished.values() for light in result.shots]
    return programme_of(lights, job.cuts, frames=job.frames, target_nits=settings.hdr10plus_target)


def _check(path: Path, job: Job, light: ContentLight | None) -> None:
    """Read the finished file once more: all frames, and the light in its header."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        told = video.codec_context.coded_side_data.get("content_light_level", b"")
        # AVContentLightMetadata of FFmpeg
        wanted = struct.pack("=2I", light.max_cll_nits, light.max_fall_nits) if light else b""
        if bytes(told[:8]) != wanted:
            raise JobError("the finished file's header lacks the measured light; run the command again")
        frames = sum(1 for packet in container.demux(video) if packet.size)
        if frames != job.frames:
            raise JobError(f"the finished file holds {frames} of {job.frames} frames; run the command again")


def _already(journal: Journal, output: Path) -> bool:
    """Whether an earlier call was stopped between the file's last name and the clearing up."""
    muxed = journal.muxed
    return muxed is not None and output.is_file() and output.stat().st_size == muxed.size_bytes

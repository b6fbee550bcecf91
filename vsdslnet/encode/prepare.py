"""Before any work: is everything there, is this a new job or one to go on with, and how is it cut."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import msgspec
import vapoursynth as vs

from vsdslnet.encode.chunk.encoders import Picture, choose_encoder
from vsdslnet.encode.chunk.trial import Trial, try_encoder
from vsdslnet.encode.identity import anywhere, difference, job_identity
from vsdslnet.encode.job.chunks import cut_into_chunks
from vsdslnet.encode.job.description import JOB_NAME, Job, JobIdentity, read_job
from vsdslnet.encode.job.folder import holds_job, job_folder
from vsdslnet.encode.job.journal import write_durably
from vsdslnet.encode.place import check_name
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import DecodeError, open_source, scene_cuts
from vsdslnet.encode.source.colour import check_frame
from vsdslnet.encode.source.frame_rate import frame_times
from vsdslnet.encode.source.probe import SourceInfo, probe
from vsdslnet.errors import JobError, OutputError, one_line
from vsdslnet.plugin.color_tags import ColorOverrides
from vsdslnet.plugin.hdr_signs import first_integer

__all__ = ["Prepared", "check_output", "check_room", "hdr10plus_json", "prepare"]

CONTAINERS = (".mkv", ".mp4", ".m4v", ".mov")
# Less than this, or than the source's size if that is smaller, is not worth starting with.
_LEAST_FREE_BYTES = 64 << 20

# Told while the source is looked through: frames seen, frames in all.
Scanned = Callable[[int, int], None]


def hdr10plus_json(output: Path) -> Path:
    """Where the dynamic metadata of an output are written."""
    return output.with_suffix(".hdr10plus.json")


def check_output(source: Path, output: Path, settings: EncodeSettings, *, overwrite: bool) -> None:
    """Refuse, in one line, a name that the file can't or shouldn't have (ArgumentError, OutputError)."""
    check_name(output, suffixes=CONTAINERS)
    if output.exists() and source.exists() and output.samefile(source):
        raise OutputError(f"{output}: is the source itself; name another file")
    written = [output, hdr10plus_json(output)] if settings.hdr10plus else [output]
    for path in written:
        if path.exists() and not overwrite and not holds_job(job_folder(output)):
            raise OutputError(f"{path}: is there already; name another file or use --overwrite")


def check_room(source: Path, folder: Path) -> None:
    """Refuse a job's folder, held, in which nothing can be written or which has no space left (OutputError)."""
    try:
        write_durably(folder / "writable", b"")
        (folder / "writable").unlink()
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(f"{folder.parent}: can't be written to ({error.strerror})") from None
    if source.is_file() and free_bytes < min(_LEAST_FREE_BYTES, source.stat().st_size):
        raise OutputError(f"{folder.parent}: no space is left ({free_bytes >> 10} KiB free); make room")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A job that can be begun, and what the encoder made of a trial."""

    job: Job
    trial: Trial


def prepare(source: Path, folder: Path, settings: EncodeSettings, *, threads: int, scanned: Scanned) -> Prepared:
    """The job begun in ``folder``, if it is the one asked for, else a new one, written there.

    JobError if the folder holds another job.
    """
    overrides = settings.part(ColorOverrides)
    info = probe(source, transfer_in=settings.transfer_in)
    overrides.check_family(vs.RGB if info.is_rgb else vs.YUV)
    trial = _try_encoder(info, settings, source, folder)
    begun = read_job(folder)
    if begun is None:
        job = _new_decodable_job(info, job_identity(source, settings), folder, threads, scanned)
    else:
        otherwise = difference(begun.identity, source, settings)
        if otherwise:
            raise JobError(f"{folder} holds a job begun otherwise: {otherwise}; undo that, or use --restart")
        job = _moved(begun, info, settings)
    if job != begun:
        write_durably(folder / JOB_NAME, msgspec.json.encode(job))
    return Prepared(job=job, trial=trial)


def _moved(begun: Job, info: SourceInfo, settings: EncodeSettings) -> Job:
    """A begun job with its source, its model and its look where they lie today."""
    today = anywhere(settings)
    same = replace(begun.identity.settings, model=today.model, look=today.look)
    return msgspec.structs.replace(
        begun,
        source=msgspec.structs.replace(begun.source, path=info.path),
        identity=msgspec.structs.replace(begun.identity, settings=same),
    )


def _try_encoder(info: SourceInfo, settings: EncodeSettings, source: Path, folder: Path) -> Trial:
    width, height = info.delivered_size
    picture = Picture(
        width=width, height=height, frame_rate=info.frame_rate, sample_aspect=Fraction(*info.sample_aspect)
    )
    return try_encoder(choose_encoder(settings), settings, picture=picture, source=source, folder=folder)


def _new_decodable_job(info: SourceInfo, identity: JobIdentity, folder: Path, threads: int, scanned: Scanned) -> Job:
    """With a decoder on one thread where one on several fails on the way."""
    try:
        return _new_job(info, identity, folder, threads, scanned, decoder_threads=0)
    except DecodeError as error:
        try:
            return _new_job(info, identity, folder, threads, scanned, decoder_threads=1)
        except DecodeError:
            raise error from None


def _new_job(
    info: SourceInfo, identity: JobIdentity, folder: Path, threads: int, scanned: Scanned, *, decoder_threads: int
) -> Job:
    path = Path(info.path)
    source = open_source(info, threads=decoder_threads, index=folder / "source")
    start = round(Fraction(source.timeline.start_seconds) / source.time_base)
    times = frame_times(
        [at - start for at in source.timestamps],
        source.time_base,
        claimed=[Fraction(*rate) for rate in info.claimed_rates],
    )
    frames = len(source.clip)
    cuts = []
    overrides = identity.settings.part(ColorOverrides)
    try:
        for number, frame in enumerate(scene_cuts(source.clip).frames(close=True)):
            if first_integer(frame.props, "_SceneChangePrev"):
                cuts.append(number)
            check_frame(path, number, frame.props, overrides)
            scanned(number + 1, frames)
    except vs.Error as error:
        raise DecodeError(f"{path}: can't be decoded ({one_line(error)})") from None
    return Job(
        identity=identity,
        source=info,
        encoder=choose_encoder(identity.settings),
        threads=threads,
        decoder_threads=decoder_threads,
        timeline=source.timeline,
        time_base=(times.time_base.numerator, times.time_base.denominator),
        timestamps=times.timestamps,
        rate=(times.rate.numerator, times.rate.denominator),
        chunks=cut_into_chunks(frames=frames, cuts=cuts, max_frames=identity.settings.chunk_frames),
        cuts=[cut for cut in cuts if cut],
    )

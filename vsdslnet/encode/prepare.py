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
from vsdslnet.encode.form import Form, form_of, forms
from vsdslnet.encode.identity import anywhere, difference, job_identity
from vsdslnet.encode.job.chunks import cut_into_chunks
from vsdslnet.encode.job.description import JOB_NAME, Job, JobIdentity, read_job
from vsdslnet.encode.job.folder import holds_job, job_folder
from vsdslnet.encode.job.journal import write_durably
from vsdslnet.encode.picture_names import PictureNames
from vsdslnet.encode.place import check_name
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import DecodeError, open_source, scene_cuts
from vsdslnet.encode.source.colour import check_frame
from vsdslnet.encode.source.crop import Edges, crop_text
from vsdslnet.encode.source.frame_rate import FrameTimes, frame_times
from vsdslnet.encode.source.further_on import AspectChanges, look_further_on
from vsdslnet.encode.source.given import Given
from vsdslnet.encode.source.look import look_at
from vsdslnet.encode.source.probe import SourceInfo
from vsdslnet.encode.source.script import forget_output, frame_error
from vsdslnet.errors import ArgumentError, JobError, MediaError, OutputError, one_line
from vsdslnet.plugin.caches import frames_in_order
from vsdslnet.plugin.color_tags import ColorOverrides
from vsdslnet.plugin.hdr_signs import first_integer

__all__ = ["Prepared", "check_output", "check_room", "hdr10plus_json", "prepare"]

# Less than this, or than the source's size if that is smaller, is not worth starting with.
_LEAST_FREE_BYTES = 64 << 20

# Told while the source is looked through: frames seen, frames in all.
Scanned = Callable[[int, int], None]


def hdr10plus_json(output: Path) -> Path:
    """Where the dynamic metadata of an output are written."""
    return output.with_suffix(".hdr10plus.json")


def check_output(source: Given, output: Path, settings: EncodeSettings, *, overwrite: bool) -> None:
    """Refuse, in one line, a name that the file can't or shouldn't have (ArgumentError, OutputError)."""
    form = form_of(settings)
    if form.is_sequence:
        _check_pictures(PictureNames(output), output, form, overwrite=overwrite)
        return
    _check_codec(output, form, settings)
    check_name(output, suffixes=form.suffixes)
    for path in filter(None, (source.path, source.tracks)):
        if output.exists() and path.exists() and output.samefile(path):
            raise OutputError(f"{output}: is the source itself; name another file")
    written = [output, hdr10plus_json(output)] if settings.hdr10plus else [output]
    for path in written:
        if path.exists() and not overwrite and not holds_job(job_folder(output)):
            raise OutputError(f"{path}: is there already; name another file or use --overwrite")


def _check_pictures(names: PictureNames, output: Path, form: Form, *, overwrite: bool) -> None:
    names.check_place(form.suffixes)
    if overwrite or holds_job(job_folder(output)):
        return
    existing = [names.path(number) for number in names.existing()]
    for path in (*existing, names.sidecar):
        if path.exists():
            raise OutputError(f"{path}: is there already; name another folder or use --overwrite")


def _check_codec(output: Path, form: Form, settings: EncodeSettings) -> None:
    """A name that another codec would have says which one was forgotten (ArgumentError)."""
    suffix = output.suffix.lower()
    others = [codec for codec, other in forms() if suffix in other.suffixes]
    if suffix not in form.suffixes and others:
        allowed = f"with codec {settings.codec} a name ending in {', '.join(form.suffixes)}"
        raise ArgumentError("output", str(output), allowed, f"or take --codec {' or '.join(others)}")


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


def prepare(source: Given, folder: Path, settings: EncodeSettings, *, threads: int, scanned: Scanned) -> Prepared:
    """The job begun in ``folder``, if it is the one asked for, else a new one, written there.

    JobError if the folder holds another job.
    """
    overrides = settings.part(ColorOverrides)
    info = look_at(source, settings)
    settings = _with_found_crop(settings, info)
    overrides.check_family(vs.RGB if info.is_rgb else vs.YUV)
    trial = _try_encoder(info, settings, source.path, folder)
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
    forget_output()  # workers have their own
    return Prepared(job=job, trial=trial)


def _with_found_crop(settings: EncodeSettings, info: SourceInfo) -> EncodeSettings:
    """The settings with what ``auto`` has found, so that either spelling goes on with the other's job."""
    if settings.crop is None:
        return settings
    width, height = info.uncut_size
    return replace(settings, crop=crop_text(Edges(*info.cut), width=width, height=height))


def _moved(begun: Job, info: SourceInfo, settings: EncodeSettings) -> Job:
    """A begun job with its source, what belongs to it, its model and its look where they lie today."""
    today = anywhere(settings)
    same = replace(begun.identity.settings, model=today.model, look=today.look)
    return msgspec.structs.replace(
        begun,
        source=msgspec.structs.replace(begun.source, path=info.path, call=info.call, tracks=info.tracks),
        identity=msgspec.structs.replace(begun.identity, settings=same),
    )


def _try_encoder(info: SourceInfo, settings: EncodeSettings, source: Path, folder: Path) -> Trial:
    width, height = form_of(settings).delivered_size(*info.shown_size)
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
    cuts, aspects = [], AspectChanges()
    number, overrides = -1, identity.settings.part(ColorOverrides)
    try:
        for number, frame in enumerate(frames_in_order(scene_cuts(source.clip))):
            if first_integer(frame.props, "_SceneChangePrev"):
                cuts.append(number)
            check_frame(path, number, frame.props, overrides, of_script=info.call is not None)
            aspects.see(number, frame.props)
            scanned(number + 1, frames)
    except vs.Error as error:
        if info.call is not None:
            raise MediaError(f"{path}: near frame {number + 1}: {frame_error(error)}") from None  # cuts look ahead
        raise DecodeError(f"{path}: can't be decoded ({one_line(error)})") from None
    further_on = aspects.left_out(source.timestamps, source.time_base)
    # BestSource gives all frames of a file the first one's shape of pixels.
    further_on += look_further_on(info, transfer_in=overrides.transfer_in)
    return Job(
        identity=identity,
        source=msgspec.structs.replace(info, left_out=(*info.left_out, *source.left_out, *further_on)),
        encoder=choose_encoder(identity.settings),
        threads=threads,
        decoder_threads=decoder_threads,
        timeline=source.timeline,
        time_base=(times.time_base.numerator, times.time_base.denominator),
        timestamps=times.timestamps,
        last_ticks=_last_ticks(times, source.last_seconds),
        rate=(times.rate.numerator, times.rate.denominator),
        chunks=cut_into_chunks(frames=frames, cuts=cuts, max_frames=identity.settings.chunk_frames),
        cuts=[cut for cut in cuts if cut],
    )


def _last_ticks(times: FrameTimes, seconds: Fraction | None) -> int:
    """What the job says of a last frame that a file shows for ``seconds``; of a constant rate, if it stays on."""
    usual = 1 / times.rate
    if seconds is None or (times.constant and seconds < usual * 3 / 2):  # rounded to milliseconds, it would be another
        return 0
    return round(seconds / times.time_base)

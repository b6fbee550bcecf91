"""Before any work: is everything there, is this a new job or one to go on with, and how is it cut."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import vapoursynth as vs

from vsdslnet.encode.chunk.encoders import check_parameters, choose_encoder
from vsdslnet.encode.identity import job_identity
from vsdslnet.encode.job.chunks import plan_chunks
from vsdslnet.encode.job.description import PLAN_NAME, JobIdentity, JobPlan, read_plan
from vsdslnet.encode.job.folder import holds_job, job_folder
from vsdslnet.encode.job.journal import write_durably
from vsdslnet.encode.place import check_name
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import open_source, scene_cuts
from vsdslnet.encode.source.colour import check_frame
from vsdslnet.encode.source.probe import SourceInfo, probe
from vsdslnet.errors import JobError, MediaError, OutputError, one_line
from vsdslnet.plugin.color_tags import ColorOverrides
from vsdslnet.plugin.hdr_signs import first_integer

__all__ = ["check_output", "check_room", "hdr10plus_json", "prepare"]

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


def prepare(source: Path, folder: Path, settings: EncodeSettings, *, threads: int, scanned: Scanned) -> JobPlan:
    """The plan in ``folder`` if it is for this very job, else a new one, written there.

    JobError if the folder holds another job's plan.
    """
    overrides = settings.part(ColorOverrides)
    info = probe(source, transfer_in=settings.transfer_in)
    overrides.check_family(vs.RGB if info.is_rgb else vs.YUV)
    encoder = choose_encoder(settings)
    check_parameters(encoder, settings)
    identity = job_identity(source, settings)
    known = read_plan(folder)
    if known is not None:
        difference = known.identity.difference(identity)
        if difference:
            raise JobError(f"{folder} holds a job begun otherwise: {difference}; undo that, or use --restart")
        return known
    plan = _plan(info, identity, folder, threads, scanned)
    write_durably(folder / PLAN_NAME, msgspec.json.encode(plan))
    return plan


def _plan(info: SourceInfo, identity: JobIdentity, folder: Path, threads: int, scanned: Scanned) -> JobPlan:
    path = Path(info.path)
    source = open_source(info, index=folder / "source")
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
        raise MediaError(f"{path}: can't be decoded ({one_line(error)})") from None
    return JobPlan(
        identity=identity,
        source=info,
        encoder=choose_encoder(identity.settings),
        threads=threads,
        time_base=(source.time_base.numerator, source.time_base.denominator),
        timestamps=source.timestamps,
        chunks=plan_chunks(frames=frames, cuts=cuts, max_frames=identity.settings.chunk_frames),
        cuts=[cut for cut in cuts if cut],
    )

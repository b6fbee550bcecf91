"""Who makes a job's bits: settings, weights and programs, asked for at its start and again on every node."""

from __future__ import annotations

import platform
from dataclasses import fields, replace
from pathlib import Path

import vsdslnet
from vsdslnet import weights
from vsdslnet.encode.chunk.encoder_parameters import one_spelling, preset_and_crf, svt_parameters, x265_parameters
from vsdslnet.encode.chunk.encoders import choose_encoder
from vsdslnet.encode.job.description import Job, JobIdentity
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.deinterlace import deinterlacer
from vsdslnet.encode.source.given import Given
from vsdslnet.encode.source.probe import identify
from vsdslnet.encode.source.script_files import script_identity, script_otherwise
from vsdslnet.errors import ArgumentError, JobError, MissingPackageError, WeightsError
from vsdslnet.looks import find_look, read_look
from vsdslnet.options import BackendOptions

__all__ = ["anywhere", "check_node", "difference", "job_identity", "otherwise_here"]

_RUNS_ON = ("device", "device_index", "precision", "backend")


def job_identity(source: Given, settings: EncodeSettings) -> JobIdentity:
    """A job's identity as this machine would make it; WeightsError or ArgumentError if it lacks something."""
    return JobIdentity(
        source=identify(source.path),
        script=script_identity(source.path, source.call) if source.is_script else None,
        tracks=None if source.tracks is None else identify(source.tracks),
        settings=anywhere(settings),
        model_sha256=_model_sha256(settings),
        tools=_tools(settings),
    )


def difference(begun: JobIdentity, source: Given, settings: EncodeSettings) -> str | None:
    """What a job begun as ``begun`` would do otherwise with this source and these settings; None: the same bits.

    Where the source lies, what it is called and when it was touched, and other words for the same settings, are no
    difference.
    """
    return (
        _source_difference(begun, source)
        or _made_otherwise(begun, settings)
        or _settings_difference(begun.settings, anywhere(settings))
    )


def otherwise_here(job: Job) -> str | None:
    """What of the source is another on this machine, in words."""
    info = job.source
    if not job.identity.source.is_of(Path(info.path)):
        return f"{info.path}: is another file"
    if info.call is None or job.identity.script is None:
        return None
    otherwise = script_otherwise(job.identity.script, Path(info.path), info.call)
    return f"{info.path}: {otherwise}" if otherwise else None


def _source_difference(begun: JobIdentity, source: Given) -> str | None:
    if not begun.source.is_of(source.path):
        return "the source file has changed"
    if begun.script is not None:
        otherwise = script_otherwise(begun.script, source.path, source.call)
        if otherwise:
            return otherwise
    if (begun.tracks is None) != (source.tracks is None):
        return "tracks were " + ("not given" if begun.tracks is None else "given")
    if begun.tracks is not None and source.tracks is not None and not begun.tracks.is_of(source.tracks):
        return "the file of the tracks has changed"
    return None


def check_node(job: Job) -> None:
    """JobError if this machine's weights or programs are not those the job was begun with."""
    begun = job.identity
    try:
        otherwise = _made_otherwise(begun, begun.settings)
    except (ArgumentError, MissingPackageError, WeightsError) as error:
        raise JobError(f"node {platform.node()}: {error}; every node needs what the head has") from None
    if otherwise:
        raise JobError(f"node {platform.node()}: {otherwise}; every node needs what the head has")


def _made_otherwise(begun: JobIdentity, settings: EncodeSettings) -> str | None:
    """What of weights and programs here is not what the job was begun with."""
    if _model_sha256(settings) != begun.model_sha256:
        return "the model has changed"
    tools = _tools(settings)
    return f"the programs have changed ({begun.tools} -> {tools})" if tools != begun.tools else None


def _settings_difference(begun: EncodeSettings, now: EncodeSettings) -> str | None:
    """The settings that come to other bits, by name, where model, look and programs are known to be the same."""
    changed = {option.name for option in fields(begun) if getattr(begun, option.name) != getattr(now, option.name)}
    changed -= {"encoder"}  # its program is compared
    if weights.is_lut(begun.model) == weights.is_lut(now.model):
        changed -= {"model"}
    if (begun.look is None) == (now.look is None):
        changed -= {"look"}
    if _encoder_is_told(begun) == _encoder_is_told(now):
        changed -= {"preset", "crf", "parameters"}
    if changed & set(_RUNS_ON) and _runs_on(begun) == _runs_on(now):
        changed -= set(_RUNS_ON)
    told = [f"{name} {getattr(begun, name)!r} -> {getattr(now, name)!r}" for name in sorted(changed)]
    return "settings have changed: " + ", ".join(told) if told else None


def _encoder_is_told(settings: EncodeSettings) -> tuple[str, float, dict[str, str]]:
    """Speed, quality and parameters, each in one spelling."""
    if settings.codec not in ("hevc", "av1"):
        return "", 0.0, {}  # there is nothing to tell
    hevc = settings.codec == "hevc"
    told = x265_parameters(settings, frames=settings.chunk_frames) if hevc else svt_parameters(settings)
    return *preset_and_crf(settings), dict(one_spelling(name, value) for name, value in told.items())


def _runs_on(settings: EncodeSettings) -> tuple[str, str]:
    """The kind of device and the precision that "auto" stands for here, or what was asked for."""
    from vsdslnet.inference.backends import choose_backend  # here, as it loads torch, which takes seconds

    return choose_backend(settings.part(BackendOptions))


def anywhere(settings: EncodeSettings) -> EncodeSettings:
    """The settings with paths of model and look that are the same files from any working directory."""
    if settings.look is not None and settings.look.endswith(".safetensors"):
        settings = replace(settings, look=str(find_look(settings.look).absolute()))
    path = weights.find(settings.model)
    name = settings.model.removesuffix(weights.LUT_SUFFIX)
    if not name.endswith(path.suffix):
        return settings  # an installed model
    model = str(path.absolute()) + (weights.LUT_SUFFIX if weights.is_lut(settings.model) else "")
    return replace(settings, model=model)


def _model_sha256(settings: EncodeSettings) -> str:
    """Of the weights, and of the look where there is one."""
    model = weights.read(weights.find(settings.model)).sha256
    return model if settings.look is None else f"{model} {read_look(settings.look).sha256}"


def _tools(settings: EncodeSettings) -> str:
    """Whose work the bits are; not which machine's, as chunks of one job may come from several."""
    made_by = [f"vsdslnet {vsdslnet.__version__}", choose_encoder(settings), deinterlacer(settings.deinterlace)]
    return ", ".join([*filter(None, made_by), platform.machine()])

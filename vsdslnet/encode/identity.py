"""Who makes a job's bits: settings, weights and programs, asked for at its start and again on every node."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

import msgspec

import vsdslnet
from vsdslnet import weights
from vsdslnet.encode.chunk.encoders import choose_encoder
from vsdslnet.encode.job.description import JobIdentity, JobPlan
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.probe import identify
from vsdslnet.errors import ArgumentError, JobError, WeightsError
from vsdslnet.looks import find_look, read_look

__all__ = ["check_node", "job_identity"]


def job_identity(source: Path, settings: EncodeSettings) -> JobIdentity:
    """A job's identity as this machine would make it; WeightsError or ArgumentError if it lacks something."""
    return JobIdentity(
        source=identify(source),
        settings=_anywhere(settings),
        model_sha256=_model_sha256(settings),
        tools=_tools(settings),
    )


def check_node(plan: JobPlan) -> None:
    """JobError if this machine's weights or programs are not those the job was begun with."""
    begun = plan.identity
    try:
        here = msgspec.structs.replace(begun, model_sha256=_model_sha256(begun.settings), tools=_tools(begun.settings))
    except (ArgumentError, WeightsError) as error:
        raise JobError(f"node {platform.node()}: {error}; every node needs what the head has") from None
    difference = begun.difference(here)
    if difference:
        raise JobError(f"node {platform.node()}: {difference}; every node needs what the head has")


def _anywhere(settings: EncodeSettings) -> EncodeSettings:
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
    return f"vsdslnet {vsdslnet.__version__}, {choose_encoder(settings)}, {platform.machine()}"

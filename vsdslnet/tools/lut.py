"""``vsdslnet lut``: the 3D LUT of a scene as a .cube file, for grading software."""

from __future__ import annotations

from pathlib import Path

from vsdslnet.encode.job.journal import write_durably
from vsdslnet.encode.place import check_place
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import open_source
from vsdslnet.encode.source.frame_errors import told_of
from vsdslnet.encode.source.given import Given
from vsdslnet.encode.source.look import look_at
from vsdslnet.encode.source.times import frame_at
from vsdslnet.errors import OutputError
from vsdslnet.inference.lut.cube_file import cube_text
from vsdslnet.options import ConvertOptions
from vsdslnet.plugin.color_tags import ColorOverrides
from vsdslnet.plugin.convert import frame_lut
from vsdslnet.plugin.scene import SceneCuts

__all__ = ["write_lut"]


def write_lut(source: Given, output: Path, settings: EncodeSettings, *, at_seconds: float) -> int:
    """Write the LUT of the frame on screen at ``at_seconds``; return that frame's number.

    It is the LUT that ``model="NAME-lut"`` applies there, the look included. MediaError or ClipError if the
    source can't be converted; OutputError if the file can't be written.
    """
    overrides = settings.part(ColorOverrides)
    info = look_at(source, settings)
    check_place(output, suffix=".cube")
    opened = open_source(info)
    frame = frame_at(opened, at_seconds)
    cuts = SceneCuts(settings.scene_cuts)
    with told_of(source.path):
        lattice = frame_lut(opened.clip, frame, settings=settings.part(ConvertOptions), overrides=overrides, cuts=cuts)
    title = f"{settings.model} frame {frame}, white {settings.white_nits:g}, peak {settings.peak_nits:g} nits"
    try:
        write_durably(output, cube_text(lattice, title=title).encode())
    except OSError as error:
        raise OutputError(f"{output}: can't be written ({error.strerror})") from None
    return frame

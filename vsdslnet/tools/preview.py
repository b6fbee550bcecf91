"""``vsdslnet preview``: chosen frames before and after, and their light, as one self-contained page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import vapoursynth as vs
from torch import Tensor

from vsdslnet.encode.chunk.light import frame_light_nits, with_light
from vsdslnet.encode.job.journal import write_durably
from vsdslnet.encode.place import check_place
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import Source, convert, deliver, open_source, scene_cuts
from vsdslnet.encode.source.colour import check_frame
from vsdslnet.encode.source.frame_errors import told_of
from vsdslnet.encode.source.given import Given
from vsdslnet.encode.source.look import look_at
from vsdslnet.encode.source.probe import SourceInfo
from vsdslnet.encode.source.times import frame_at, seconds_at
from vsdslnet.errors import OutputError
from vsdslnet.plugin.color_tags import ColorOverrides
from vsdslnet.plugin.hdr_signs import first_integer
from vsdslnet.plugin.sdr_rgb import tagged, to_sdr_rgb
from vsdslnet.tools import page
from vsdslnet.tools.light_curve import light_curve
from vsdslnet.views import (
    Picture,
    false_colour_with_legend,
    gamut_plot,
    histogram_nits,
    light_over_time,
    picture_png,
    pq_png,
    sdr_to_picture,
    tone_map_for_sdr,
    upright,
    waveform_nits,
)
from vsdslnet.views.plots import require_matplotlib

__all__ = ["write_report"]

# Frames picked by themselves.
AUTOMATIC_FRAMES = 4
# Pictures on the page are no wider: they are inside it.
MAX_WIDTH_PX = 1280
# Cuts are looked for in clips of so many pixels: that means to decode them all, two seconds for these.
_SCANNED_PX = 500_000_000

Told = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is done, and how much of it there is."""


@dataclass(frozen=True, kw_only=True)
class _Shot:
    """A frame of the page: where it is, before as R'G'B' 0..1 and after as PQ, (3, H, W) fp32 each."""

    frame: int
    seconds: float
    sdr: Tensor
    pq: Tensor
    light_nits: tuple[float, float]


def write_report(
    source: Given,
    output: Path,
    settings: EncodeSettings,
    *,
    at_seconds: Sequence[float] = (),
    told: Told = lambda what, done, total: None,
) -> list[int]:
    """Write the page and return the frames it shows: those at ``at_seconds``, or some of its own choice.

    The model converts the frames shown and no others: the light curve is that of its LUTs. MediaError or ClipError
    if the source can't be converted; OutputError if the page can't be written; MissingPackageError without matplotlib.
    """
    require_matplotlib()
    with told_of(source.path):
        frames, text = _report(source, output, settings, at_seconds, told)
    try:
        write_durably(output, text.encode())
    except OSError as error:
        raise OutputError(f"{output}: can't be written ({error.strerror})") from None
    return frames


def _report(
    source: Given, output: Path, settings: EncodeSettings, at_seconds: Sequence[float], told: Told
) -> tuple[list[int], str]:
    """The frames shown, and the page."""
    overrides = settings.part(ColorOverrides)
    info = look_at(source, settings)
    check_place(output, suffix=".html")
    opened = open_source(info)
    frames = [frame_at(opened, seconds) for seconds in at_seconds]
    opened, cuts = _scanned(info, opened, overrides, told)
    frames = frames or _automatic(cuts, len(opened.clip))
    curve = light_curve(opened.clip, settings, cuts, told=lambda done, total: told("light curve, by LUTs", done, total))
    hdr = convert(opened.clip, settings)
    measured = with_light(deliver(hdr, peak_nits=settings.peak_nits))
    sections = []
    for number, frame in enumerate(frames):
        told(f"frames shown, by {settings.model}", number, len(frames))
        sections.append(_section(_shot(opened, hdr, measured, frame, info, settings)))
    told(f"frames shown, by {settings.model}", len(frames), len(frames))
    light = light_over_time(
        [seconds_at(opened, point.frame) for point in curve],
        [point.max_nits for point in curve],
        [point.average_nits for point in curve],
        cuts_seconds=[seconds_at(opened, cut) for cut in cuts or [] if cut],
    )
    text = page.page(
        title=source.path.name,
        settings=f"model {settings.model}, white {settings.white_nits:g}, peak {settings.peak_nits:g} nits, "
        f"strength {settings.strength:g}",
        light=picture_png(light),
        sections=sections,
    )
    return frames, text


def _scanned(
    info: SourceInfo, source: Source, overrides: ColorOverrides, told: Told
) -> tuple[Source, list[int] | None]:
    """The source with its cuts marked, and the first frames of its shots; as it is, and None, if it is long.

    MediaError for frames that can't be converted.
    """
    clip = source.clip
    if clip.width * clip.height * clip.num_frames > _SCANNED_PX:
        return source, None
    found = scene_cuts(clip)
    cuts = []
    for number, frame in enumerate(found.frames(close=True)):
        told("looking for cuts", number, clip.num_frames)
        check_frame(info.path, number, frame.props, overrides, of_script=info.call is not None)
        if number == 0 or first_integer(frame.props, "_SceneChangePrev"):
            cuts.append(number)
    told("looking for cuts", clip.num_frames, clip.num_frames)
    return source._replace(clip=found), cuts


def _automatic(cuts: list[int] | None, frames: int) -> list[int]:
    """Middles of the longest shots, in order; evenly spread frames where there are too few shots, or none known."""
    ends = [*(cuts or [])[1:], frames]
    longest = sorted(zip(cuts or [0], ends, strict=True), key=lambda shot: shot[0] - shot[1])[:AUTOMATIC_FRAMES]
    if len(longest) < AUTOMATIC_FRAMES:
        return sorted({frames * (2 * part + 1) // (2 * AUTOMATIC_FRAMES) for part in range(AUTOMATIC_FRAMES)})
    return sorted((first + end) // 2 for first, end in longest)


def _shot(
    source: Source, hdr: vs.VideoNode, measured: vs.VideoNode, number: int, info: SourceInfo, settings: EncodeSettings
) -> _Shot:
    """A frame as a player shows it: upright, with square pixels."""
    scale = min(1.0, MAX_WIDTH_PX / hdr.width)
    width = round(hdr.width * scale * Fraction(*info.sample_aspect))
    size = {"width": max(1, width), "height": max(1, round(hdr.height * scale))}
    sdr = to_sdr_rgb(tagged(source.clip, settings.part(ColorOverrides)), **size)
    pq = hdr.resize.Bicubic(format=vs.RGBS, range_s="full", **size)
    return _Shot(
        frame=number,
        seconds=seconds_at(source, number),
        sdr=upright(_planes(sdr, number), info.display_matrix),
        pq=upright(_planes(pq, number).clamp(0, 1), info.display_matrix),
        light_nits=_light(measured, number),
    )


def _planes(clip: vs.VideoNode, number: int) -> Tensor:
    with clip.get_frame(number) as frame:
        return torch.from_numpy(np.stack([np.asarray(frame[plane]) for plane in range(3)]))


def _light(measured: vs.VideoNode, number: int) -> tuple[float, float]:
    with measured.get_frame(number) as frame:
        return frame_light_nits(frame)


def _section(shot: _Shot) -> str:
    maximum, average = shot.light_nits
    return page.section(
        frame=shot.frame,
        seconds=shot.seconds,
        light_nits=shot.light_nits,
        before=picture_png(sdr_to_picture(shot.sdr)),
        after=picture_png(tone_map_for_sdr(shot.pq)),
        hdr=pq_png(shot.pq, max_nits=maximum, average_nits=average),
        plots={name: picture_png(picture) for name, picture in _plots(shot.pq).items()},
    )


def _plots(pq: Tensor) -> dict[str, Picture]:
    return {
        "luminance in nits": false_colour_with_legend(pq),
        "waveform in nits": waveform_nits(pq),
        "histogram of nits": histogram_nits(pq),
        "CIE 1976 gamut": gamut_plot(pq),
    }

"""``vsdslnet preview``: chosen frames before and after, and their light, as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vsdslnet.encode.chunk.light import frame_light_nits, with_light
from vsdslnet.encode.job.journal import write_durably
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import convert, deliver
from vsdslnet.encode.source.frame_errors import told_of
from vsdslnet.encode.source.given import Given
from vsdslnet.encode.source.times import seconds_at
from vsdslnet.errors import OutputError
from vsdslnet.tools import page
from vsdslnet.tools.light_curve import light_curves
from vsdslnet.tools.shown_frames import Told, hdr_as_shown, open_film, read_twice, sdr_as_shown
from vsdslnet.views import (
    false_colour_with_legend,
    gamut_plot,
    histogram_nits,
    light_over_time,
    picture_png,
    pq_png,
    sdr_to_picture,
    tone_map_for_sdr,
    waveform_nits,
)
from vsdslnet.views.plots import require_matplotlib

__all__ = ["write_page", "write_report"]


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
    write_page(output, text)
    return frames


def write_page(output: Path, text: str) -> None:
    """Write a page, whole or not at all; OutputError."""
    try:
        write_durably(output, text.encode())
    except OSError as error:
        raise OutputError(f"{output}: can't be written ({error.strerror})") from None


def _report(
    source: Given, output: Path, settings: EncodeSettings, at_seconds: Sequence[float], told: Told
) -> tuple[list[int], str]:
    """The frames shown, and the page."""
    film = open_film(source, output, settings, at_seconds, told)
    opened, cuts, frames = film.source, film.cuts, film.frames
    [curve] = light_curves(opened.clip, [settings], cuts, told=lambda *counted: told("light curve, by LUTs", *counted))
    hdr = read_twice(convert(opened.clip, settings))
    measured = with_light(deliver(hdr, peak_nits=settings.peak_nits))
    sections = []
    for number, frame in enumerate(frames):
        told(f"frames shown, by {settings.model}", number, len(frames))
        pq = hdr_as_shown(film, hdr, frame)
        with measured.get_frame(frame) as each:
            light_nits = frame_light_nits(each)
        plots = {
            "luminance in nits": false_colour_with_legend(pq),
            "waveform in nits": waveform_nits(pq),
            "histogram of nits": histogram_nits(pq),
            "CIE 1976 gamut": gamut_plot(pq),
        }
        sections.append(
            page.section(
                frame=frame,
                seconds=seconds_at(opened, frame),
                light_nits=light_nits,
                before=picture_png(sdr_to_picture(sdr_as_shown(film, frame, settings))),
                after=picture_png(tone_map_for_sdr(pq)),
                hdr=pq_png(pq, max_nits=light_nits[0], average_nits=light_nits[1]),
                plots={name: picture_png(picture) for name, picture in plots.items()},
            )
        )
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

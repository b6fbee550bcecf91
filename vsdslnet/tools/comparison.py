"""``vsdslnet preview --compare``: the same frames in several versions, their light, and their distance to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
import vapoursynth as vs
from torch import Tensor

from vsdslnet.color.difference import clip_pq, delta_e_mean, exposure_shift_stops, psnr_db
from vsdslnet.color.ictcp import delta_e_itp
from vsdslnet.color.transfer import GRAPHICS_WHITE_NITS, pq_to_nits
from vsdslnet.encode.chunk.light import frame_light_nits, with_light
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import convert_alike, deliver
from vsdslnet.encode.source.frame_errors import told_of
from vsdslnet.encode.source.given import Given
from vsdslnet.encode.source.times import seconds_at
from vsdslnet.errors import ArgumentError, MediaError, MissingPackageError
from vsdslnet.tools import page
from vsdslnet.tools.light_curve import light_curves
from vsdslnet.tools.preview import write_page
from vsdslnet.tools.shown_frames import Film, Told, hdr_as_shown, open_film, read_twice, sdr_as_shown
from vsdslnet.tools.versions import Version, parse_compare
from vsdslnet.views import (
    Picture,
    difference_with_scale,
    false_colour_with_legend,
    luminance_nits,
    picture_png,
    pq_png,
    sdr_to_picture,
    tone_map_for_sdr,
    versions_over_time,
)
from vsdslnet.views.plots import require_matplotlib

__all__ = ["write_comparison"]

_LEAST_CORRELATION = 0.5
_SCALE_STEP = 10.0


def write_comparison(
    source: Given,
    output: Path,
    settings: EncodeSettings,
    compare: Sequence[str],
    *,
    at_seconds: Sequence[float] = (),
    told: Told = lambda what, done, total: None,
) -> list[int]:
    """Write the page and return the frames it shows; ``compare`` is what :func:`parse_compare` reads.

    The network sees each frame shown once, and so do the LUTs behind the light of the whole film. Besides what
    :func:`~vsdslnet.tools.preview.write_report` raises: ArgumentError if ``compare`` can't be, or if a picture is to be
    compared with several frames; MediaError if that picture can't be read or does not show the frame.
    """
    require_matplotlib()
    versions, picture = parse_compare(compare, settings)
    reference = None if picture is None else _picture(picture)
    with told_of(source.path):
        film = open_film(source, output, settings, at_seconds, told)
        if reference is not None and len(film.frames) > 1:
            raise ArgumentError("at", len(film.frames), "the one time of the picture to compare with", "give --at")
        before = {frame: sdr_as_shown(film, frame, settings) for frame in film.frames}
        if picture is not None and reference is not None:
            [sdr] = before.values()
            reference = _fitting(reference, sdr, picture, film.frames[0])
        text = _page(film, versions, reference, before, source.path.name, told)
    write_page(output, text)
    return film.frames


def _picture(path: Path) -> Tensor:
    try:
        from vsdslnet.stills.pictures import read_hdr
    except ModuleNotFoundError as error:
        package = error.name or "a package"
        raise MissingPackageError("an HDR picture", package, "pip install 'vsdslnet[train]'") from None
    return read_hdr(path)


def _fitting(reference: Tensor, sdr: Tensor, path: Path, frame: int) -> Tensor:
    """The picture in the size of the frame; MediaError if it shows something else."""
    (rows, columns), (height, width) = reference.shape[1:], sdr.shape[1:]
    if not 0.99 < columns * height / (rows * width) < 1.01:
        raise MediaError(f"{path.name} is {columns}x{rows}, frame {frame} as {width}x{height} is of another shape")
    fitted = F.interpolate(reference[None], size=(height, width), mode="area")[0]
    agreement = float(torch.corrcoef(torch.stack([side.mean(dim=0).flatten() for side in (sdr, fitted)]))[0, 1])
    if not agreement > _LEAST_CORRELATION:
        raise MediaError(
            f"{path.name} does not show frame {frame} (correlation {agreement:.2f}): name its time with --at"
        )
    return fitted


def _page(
    film: Film,
    versions: Sequence[Version],
    reference: Tensor | None,
    before: dict[int, Tensor],
    title: str,
    told: Told,
) -> str:
    settings = [version.settings for version in versions]
    clip = film.source.clip
    curves = light_curves(clip, settings, film.cuts, told=lambda *counted: told("light curves, by LUTs", *counted))
    hdr = [read_twice(each) for each in convert_alike(clip, settings)]
    measured = [
        with_light(deliver(each, peak_nits=version.peak_nits)) for each, version in zip(hdr, settings, strict=True)
    ]
    what = f"frames shown, by {settings[0].model}"
    sections = []
    for number, frame in enumerate(film.frames):
        told(what, number, len(film.frames))
        pictures = [_light_of(film, *clips, frame) for clips in zip(hdr, measured, strict=True)]
        sections.append(_section(film, frame, before[frame], [v.name for v in versions], pictures, reference))
    told(what, len(film.frames), len(film.frames))
    light = versions_over_time(
        [seconds_at(film.source, point.frame) for point in curves[0]],
        {v.name: [point.average_nits for point in curve] for v, curve in zip(versions, curves, strict=True)},
        cuts_seconds=[seconds_at(film.source, cut) for cut in film.cuts or [] if cut],
    )
    rows = [
        [
            version.name,
            f"{max(point.max_nits for point in curve):.0f}",
            f"{max(point.average_nits for point in curve):.0f}",
        ]
        for version, curve in zip(versions, curves, strict=True)
    ]
    return page.comparison(
        title=title,
        settings=f"model {settings[0].model}",
        light=picture_png(light),
        table=page.table(["version", "MaxCLL, nits", "MaxFALL, nits"], rows),
        sections=sections,
    )


def _light_of(film: Film, hdr: vs.VideoNode, measured: vs.VideoNode, frame: int) -> tuple[Tensor, tuple[float, float]]:
    """A version's frame as shown, and the light of the frame as delivered."""
    pq = hdr_as_shown(film, hdr, frame)
    with measured.get_frame(frame) as each:
        return pq, frame_light_nits(each)


def _section(
    film: Film,
    frame: int,
    sdr: Tensor,
    names: Sequence[str],
    pictures: Sequence[tuple[Tensor, tuple[float, float]]],
    reference: Tensor | None,
) -> str:
    head = ["version", "brightest, nits", "average, nits", f"above {GRAPHICS_WHITE_NITS:g} nits"]
    rows = [
        [name, f"{most:.0f}", f"{average:.0f}", f"{_share_above_white(pq):.1%}"]
        for name, (pq, (most, average)) in zip(names, pictures, strict=True)
    ]
    shown = [page.Shown("before (SDR)", picture_png(sdr_to_picture(sdr)))]
    plots: list[dict[str, Picture]] = [{"luminance in nits": false_colour_with_legend(pq)} for pq, _ in pictures]
    if reference is not None:
        head += ["dE_ITP from the reference", "PSNR of PQ, dB", "exposure, stops"]
        for row, (pq, _) in zip(rows, pictures, strict=True):
            shift = exposure_shift_stops(pq, reference)
            row += [f"{delta_e_mean(pq, reference):.1f}", f"{psnr_db(pq, reference):.2f}", f"{shift:+.2f}"]
        light = pq_to_nits(clip_pq(reference))
        maps = [delta_e_itp(pq_to_nits(clip_pq(pq)), light) for pq, _ in pictures]
        top = max(_SCALE_STEP, *(_SCALE_STEP * float(torch.ceil(each.quantile(0.98) / _SCALE_STEP)) for each in maps))
        for plot, each in zip(plots, maps, strict=True):
            plot["difference from the reference, dE_ITP"] = difference_with_scale(each, top=top)
        shown.append(page.Shown("reference", picture_png(tone_map_for_sdr(reference)), pq_png(reference)))
        rows.append(["reference", "", "", f"{_share_above_white(reference):.1%}", "", "", ""])
    for name, (pq, (most, average)), plot in zip(names, pictures, plots, strict=True):
        shown.append(
            page.Shown(
                name,
                picture_png(tone_map_for_sdr(pq)),
                pq_png(pq, max_nits=most, average_nits=average),
                {title: picture_png(picture) for title, picture in plot.items()},
            )
        )
    return page.versions_section(
        frame=frame, seconds=seconds_at(film.source, frame), table=page.table(head, rows), shown=shown
    )


def _share_above_white(pq: Tensor) -> float:
    """Share of pixels whose luminance lies above BT.2408's diffuse white, whatever the version's own."""
    return float((luminance_nits(pq) > GRAPHICS_WHITE_NITS).double().mean())

"""Looks at whatever a user names as the source, before any work: a video file, or a script."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import msgspec
import vapoursynth as vs

from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.colour import check_frame
from vsdslnet.encode.source.crop import Edges, asked_crop, black_bars, crop_text
from vsdslnet.encode.source.deinterlace import check_deinterlacer
from vsdslnet.encode.source.given import Given
from vsdslnet.encode.source.probe import SourceInfo, claimed_rates, probe
from vsdslnet.encode.source.script import evaluate, frame_error
from vsdslnet.encode.source.tracks import open_tracks, picture_of
from vsdslnet.errors import ArgumentError, MediaError
from vsdslnet.plugin.color_tags import ColorOverrides
from vsdslnet.plugin.hdr_signs import first_integer

__all__ = ["look_at"]

_COLOURS = {"_Matrix", "_Transfer", "_Primaries", "_Range", "_ChromaLocation"}


def look_at(source: Given, settings: EncodeSettings) -> SourceInfo:
    """What is there, and what is to be done with its picture; MediaError for anything that can't be converted.

    ArgumentError for a crop that is none of this picture, and for crop and deinterlace beside a script;
    MissingPackageError for a deinterlacer that is not installed.
    """
    if source.is_script:
        for name in ("crop", "deinterlace"):
            if getattr(settings, name) is not None:
                raise ArgumentError(name, getattr(settings, name), "only with a video file", "do it in the script")
        return _look_at_script(source, settings.part(ColorOverrides))
    check_deinterlacer(settings.deinterlace)
    info = probe(source.path, transfer_in=settings.transfer_in, interlaced=settings.deinterlace is not None)
    if settings.deinterlace is not None:
        twice = 2 if settings.deinterlace == "field" else 1
        info = msgspec.structs.replace(
            info,
            deinterlace=settings.deinterlace,
            field_order=settings.field_order,
            claimed_rates=tuple((twice * count, seconds) for count, seconds in info.claimed_rates),
        )
    return info if settings.crop is None else _cut(info, settings.crop, settings.part(ColorOverrides))


def _cut(info: SourceInfo, crop: str, overrides: ColorOverrides) -> SourceInfo:
    width, height = info.uncut_size
    told = info.left_out
    if crop == "auto":
        assert info.track is not None
        hidden = Edges(*info.crop)
        edges = black_bars(
            Path(info.path), info.track, hidden=hidden, chroma=info.chroma, seconds=info.duration_seconds
        )
        if any(edges):
            told = (*told, f"black bars (--crop auto found {crop_text(edges, width=width, height=height)})")
    else:
        edges = asked_crop(crop, width=width, height=height, chroma=info.chroma)
    return msgspec.structs.replace(info, cut=tuple(edges), known_colours=overrides.arguments(), left_out=told)


def _look_at_script(source: Given, overrides: ColorOverrides) -> SourceInfo:
    """By evaluating it, and by its first frame."""
    output = evaluate(source.path, source.call, keep=True)
    clip = output.clip
    try:
        with clip.get_frame(0) as frame:
            props = dict(frame.props)
    except vs.Error as error:
        raise MediaError(f"{source.path}: frame 0: {frame_error(error)}") from None
    check_frame(source.path, 0, props, overrides, of_script=True)
    track, rates, left_out = _beside(source)
    rate = clip.fps or None
    if rate is not None:
        rates = ((rate.numerator, rate.denominator), *rates)
    aspect = [first_integer(props, name) or 0 for name in ("_SARNum", "_SARDen")]
    sample_aspect = Fraction(*aspect) if min(aspect) > 0 else Fraction(1)
    return SourceInfo(
        path=str(source.path.resolve()),
        call=source.call,
        tracks=None if source.tracks is None else str(source.tracks.resolve()),
        track=track,
        width=clip.width,
        height=clip.height,
        claimed_rates=rates or ((25, 1),),
        sample_aspect=(sample_aspect.numerator, sample_aspect.denominator),
        display_matrix=(),
        duration_seconds=None if rate is None else float(len(clip) / rate),
        is_rgb=clip.format.color_family == vs.RGB,
        left_out=(*(["alpha (HDR10 pictures are opaque)"] if output.has_alpha else []), *left_out),
        tags={name: value for name in _COLOURS if (value := first_integer(props, name)) is not None},
    )


def _beside(source: Given) -> tuple[int | None, tuple[tuple[int, int], ...], tuple[str, ...]]:
    """(index of the picture, rates, what is left out) of the file beside a script."""
    if source.tracks is None:
        return None, (), ("sound, subtitles and chapters (a script has none; --tracks names a file that has)",)
    with open_tracks(source.tracks) as media:
        picture = picture_of(media)
        return (None, (), ()) if picture is None else (picture.index, claimed_rates(picture), ())

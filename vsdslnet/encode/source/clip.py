"""Frames: the source through BestSource, converted by ``core.dslnet.Convert``, as an encoder takes them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import vapoursynth as vs

from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.colour import with_container_tags
from vsdslnet.encode.source.probe import SourceInfo, open_media
from vsdslnet.encode.source.timeline import Timeline, continued, read_timeline
from vsdslnet.encode.stderr import stderr_caught
from vsdslnet.errors import ClipError, MediaError, one_line
from vsdslnet.options import (
    BackendOptions,
    ClipOptions,
    ColorOptions,
    LookOptions,
    Options,
    OutputTransfer,
    SceneOptions,
    TransferOptions,
)
from vsdslnet.plugin.convert import convert_versions
from vsdslnet.plugin.peak import within_peak

__all__ = [
    "DecodeError",
    "Source",
    "convert",
    "convert_alike",
    "deliver",
    "open_converted",
    "open_source",
    "scene_cuts",
]

_INVALID_TIMESTAMP = -(2**63)
_UNKNOWN_FRAME_RATE = Fraction(25)  # FFmpeg's own guess
# Cuts are looked for in a picture of about this height: noise is averaged away, and it is fast.
_DETECTION_HEIGHT = 270
_COLOUR_PROPS = ("_Matrix", "_Transfer", "_Primaries", "_Range", "_ColorRange", "_ChromaLocation")


class DecodeError(MediaError):
    """A frame can't be had from the decoder."""


class Source(NamedTuple):
    """A clip and when its frames are shown: ``timestamps``, strictly rising, times ``time_base`` seconds."""

    clip: vs.VideoNode
    timestamps: list[int]
    time_base: Fraction
    timeline: Timeline


def open_source(info: SourceInfo, *, threads: int = 0, index: Path | None = None) -> Source:
    """Open a source's video, frame-accurate and not rotated, with its timestamps and its container's tags.

    Pixels that the container hides are cut off; timestamps that start again go on. ``threads`` decode it, 0: as many
    as BestSource likes. ``index`` is where BestSource keeps what it learnt about the file, so that a second opening is
    quick. DecodeError if it can't be decoded, MediaError if its size or format changes on the way.
    """
    with open_media(Path(info.path)) as media:
        timeline = read_timeline(media)
    with stderr_caught():  # VapourSynth warns, past its own log handlers, that the timestamps' names are not declared
        opened = _video_source(info, threads, index, exporttimestamps=1)
    time_base = Fraction(opened["timebasenum"], opened["timebaseden"])
    one_frame = 1 / (opened["clip"].fps or _UNKNOWN_FRAME_RATE) / time_base
    told = opened["timestamps"]
    timestamps = [int(at) for at in ([told] if isinstance(told, int) else told)]  # of one frame it is no list
    gone_on = continued(timestamps, time_base, timeline.added.get(info.track, []))
    risen = _rising(gone_on, one_frame)
    _check_constant(opened["clip"], risen, time_base, info)
    return Source(_as_shown(opened["clip"], info), risen, time_base, timeline)


def open_converted(info: SourceInfo, settings: EncodeSettings, *, threads: int = 0, index: Path | None) -> vs.VideoNode:
    """The HDR clip of a source: ``core.dslnet.Convert`` with these settings."""
    opened = _video_source(info, threads, index)
    clip = opened["clip"] if isinstance(opened, dict) else opened  # with alpha beside it
    return convert(_as_shown(clip, info), settings)


def convert(clip: vs.VideoNode, settings: EncodeSettings) -> vs.VideoNode:
    """``core.dslnet.Convert`` with these settings; ClipError if it refuses the clip."""
    arguments: dict[str, Any] = {}
    for kind in (BackendOptions, SceneOptions, ColorOptions, LookOptions, TransferOptions):
        default = kind().arguments()
        arguments |= {k: v for k, v in settings.part(kind).arguments().items() if k not in default or default[k] != v}
    try:
        return vs.core.dslnet.Convert(clip, **arguments)
    except AttributeError:
        raise ClipError("core.dslnet is not loaded: the plugin is not installed; run pip install .") from None
    except vs.Error as error:
        raise ClipError(one_line(error)) from None


def convert_alike(clip: vs.VideoNode, versions: Sequence[EncodeSettings]) -> list[vs.VideoNode]:
    """:func:`convert` with each of these settings, which differ in their looks alone, the network asked once.

    ClipError, ArgumentError or WeightsError if one of them is refused.
    """
    if not hasattr(vs.core, "dslnet"):
        raise ClipError("core.dslnet is not loaded: the plugin is not installed; run pip install .")
    kinds: tuple[type[Options], ...] = (BackendOptions, SceneOptions, ColorOptions, LookOptions, TransferOptions)
    options = [
        ClipOptions(**{name: value for kind in kinds for name, value in vars(settings.part(kind)).items()})
        for settings in versions
    ]
    try:
        return convert_versions(clip, options)
    except vs.Error as error:
        raise ClipError(one_line(error)) from None


def deliver(clip: vs.VideoNode, *, peak_nits: float, transfer: OutputTransfer = "pq") -> vs.VideoNode:
    """The converted clip as the encoder gets it: YUV420P10, limited range, chroma top-left, even size.

    PQ stays within the peak, which is what its metadata say; HLG may pass 1. An odd last column or row is repeated
    once: 4:2:0 knows no odd sizes.
    """
    if clip.width % 2:
        clip = vs.core.std.StackHorizontal([clip, clip.std.CropAbs(1, clip.height, clip.width - 1, 0)])
    if clip.height % 2:
        clip = vs.core.std.StackVertical([clip, clip.std.CropAbs(clip.width, 1, 0, clip.height - 1)])
    ten_bits = clip.resize.Bicubic(
        format=vs.YUV420P10,
        matrix_s="2020ncl",
        transfer_s="st2084" if transfer == "pq" else "std-b67",
        primaries_s="2020",
        range_s="limited",
        chromaloc_s="top_left",
        dither_type="error_diffusion",
    )
    return within_peak(ten_bits, peak_nits) if transfer == "pq" else ten_bits


def scene_cuts(clip: vs.VideoNode) -> vs.VideoNode:
    """The clip with ``_SceneChangePrev`` = 1 on the first frame of each shot, whatever its colour tags."""
    height = min(clip.height, _DETECTION_HEIGHT)
    width = max(16, round(clip.width * height / clip.height))
    needs_matrix = {"matrix_s": "709"} if clip.format.color_family == vs.RGB else {}
    untagged = clip.std.RemoveFrameProps(list(_COLOUR_PROPS))  # the resizer refuses some
    grey = untagged.resize.Bilinear(width=width, height=max(16, height), format=vs.GRAY8, **needs_matrix)
    return clip.std.CopyFrameProps(grey.scd.Detect(), props=["_SceneChangePrev", "_SceneChangeNext"])


def _video_source(info: SourceInfo, threads: int, index: Path | None, **more: int) -> Any:
    cache: dict[str, Any] = {"cachemode": 0} if index is None else {"cachemode": 4, "cachepath": str(index)}
    told: vs.Error | None = None
    # Some decoders fail on several threads at once; one is slower, and asked when they have.
    for count in dict.fromkeys((threads, 1)):
        chosen = {"threads": count} if count else {}
        try:
            return _bestsource()(
                info.path, track=info.track, apply_rotation=0, showprogress=0, **cache, **chosen, **more
            )
        except vs.Error as error:
            told = told or error
    raise DecodeError(f"{info.path}: can't be decoded ({one_line(told)})")


def _bestsource() -> Any:
    return vs.core.bs.VideoSource


def _check_constant(clip: vs.VideoNode, timestamps: list[int], time_base: Fraction, info: SourceInfo) -> None:
    """MediaError if the picture's size or format changes on the way, with the time."""
    if clip.width and clip.height and clip.format is not None:
        return
    first: tuple[int, int, str] | None = None
    for number, frame in enumerate(clip.frames(close=True)):
        now = frame.width, frame.height, frame.format.name
        if first is not None and now != first:
            seconds = float((timestamps[number] - timestamps[0]) * time_base)
            raise MediaError(
                f"{info.path}: its picture changes at {seconds:.3f} s from {_told(first)} to {_told(now)}; cut the "
                f"file there, or scale all of it (ffmpeg -vf scale={info.width}:{info.height})"
            )
        first = now
    raise MediaError(
        f"{info.path}: its picture changes its format on the way; make it constant (ffmpeg -pix_fmt yuv420p)"
    )


def _told(picture: tuple[int, int, str]) -> str:
    width, height, name = picture
    return f"{width}x{height} {name}"


def _as_shown(clip: vs.VideoNode, info: SourceInfo) -> vs.VideoNode:
    """With the container's tags, and without what it hides."""
    left, right, top, bottom = info.crop
    cropped = clip.std.Crop(left, right, top, bottom) if any(info.crop) else clip
    return with_container_tags(cropped, info.container_tags)


def _rising(timestamps: list[int], one_frame: Fraction) -> list[int]:
    """Timestamps that rise strictly: damaged files repeat some, AVI lacks the ends', elementary streams all.

    ``one_frame``, in ticks, is what lies between a frame without a timestamp and its neighbours.
    """
    valid = [number for number, at in enumerate(timestamps) if at != _INVALID_TIMESTAMP]
    anchor = valid[0] if valid else 0
    start = timestamps[anchor] if valid else 0
    risen: list[int] = []
    for number, at in enumerate(timestamps):
        if at != _INVALID_TIMESTAMP:
            anchor, start = number, at
        # Counted from the nearest timestamp, not from frame to frame: a frame may be no whole number of ticks.
        expected = start + round((number - anchor) * one_frame)
        risen.append(max(expected, risen[-1] + 1) if risen else expected)
    return risen

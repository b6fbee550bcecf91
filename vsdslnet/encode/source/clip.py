"""Frames: the source through BestSource, converted by ``core.dslnet.Convert``, as an encoder takes them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import vapoursynth as vs

from vsdslnet.encode.form import form_of
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.colour import with_container_tags, with_guessed_tags
from vsdslnet.encode.source.deinterlace import deinterlaced, field_times
from vsdslnet.encode.source.further_on import changed
from vsdslnet.encode.source.last_frame import last_frame_seconds
from vsdslnet.encode.source.missing_times import INVALID_TIMESTAMP, rising, usual_step
from vsdslnet.encode.source.probe import SourceInfo, claimed_rates, open_media
from vsdslnet.encode.source.script import evaluate, frame_error
from vsdslnet.encode.source.script_times import PictureTimes, script_times
from vsdslnet.encode.source.timeline import Timeline, continued, read_timeline
from vsdslnet.encode.stderr import stderr_caught
from vsdslnet.errors import ClipError, MediaError, one_line
from vsdslnet.option_specs import Options
from vsdslnet.options import (
    BackendOptions,
    ClipOptions,
    ColorOptions,
    LookOptions,
    OutputTransfer,
    SceneOptions,
    TransferOptions,
)
from vsdslnet.plugin.color_tags import ColorOverrides
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

_HDR10_PIXELS = "YUV420P10"
_UNKNOWN_FRAME_RATE = Fraction(25)  # FFmpeg's own guess
# The time starts again where so many frames lie by so much before the one before them.
_RESTARTED_FRAMES, _STEP_BACK_SECONDS = 4, Fraction(1, 10)
# Cuts are looked for in a picture of about this height: noise is averaged away, and it is fast.
_DETECTION_HEIGHT = 270
_COLOUR_PROPS = ("_Matrix", "_Transfer", "_Primaries", "_Range", "_ColorRange", "_ChromaLocation")


class DecodeError(MediaError):
    """A frame can't be had from the decoder."""


class Source(NamedTuple):
    """A clip and when its frames are shown: ``timestamps``, strictly rising, times ``time_base`` seconds.

    ``left_out``: what of the file's times they leave out, in words. ``last_seconds``: how long the last frame stays, if
    the file says so.
    """

    clip: vs.VideoNode
    timestamps: list[int]
    time_base: Fraction
    timeline: Timeline
    left_out: tuple[str, ...] = ()
    last_seconds: Fraction | None = None


class _Times(NamedTuple):
    timestamps: list[int]
    time_base: Fraction
    one_frame: Fraction


def open_source(info: SourceInfo, *, threads: int = 0, index: Path | None = None) -> Source:
    """Open a source's video, frame-accurate and not rotated, with its timestamps and its container's tags.

    Pixels that the container hides are cut off; timestamps that start again go on. ``threads`` decode it, 0: as many
    as BestSource likes. ``index`` is where BestSource keeps what it learnt about the file, so that a second opening is
    quick. DecodeError if it can't be decoded, MediaError if its size or format changes on the way.

    Of a script, its output 0 and the times of the file beside it (:func:`script_times`).
    """
    if info.call is not None:
        return _open_script(info, threads, index)
    assert info.track is not None
    with open_media(Path(info.path)) as media:
        timeline = read_timeline(media)
        clip, times = _timed(info.path, info.track, timeline, threads, index)
        _check_constant(clip, times.timestamps, times.time_base, info)
        timestamps, time_base = times.timestamps, times.time_base
        last_seconds = None if timeline.added else last_frame_seconds(media, info.track, timestamps[-1])
    if info.deinterlace == "field":
        last_frame = times.one_frame if last_seconds is None else last_seconds / time_base
        timestamps, time_base = field_times(timestamps, time_base, last_frame)
        last_seconds = None if last_seconds is None else last_seconds / 2
    return Source(_as_shown(clip, info), timestamps, time_base, timeline, last_seconds=last_seconds)


def open_converted(info: SourceInfo, settings: EncodeSettings, *, threads: int = 0, index: Path | None) -> vs.VideoNode:
    """The HDR clip of a source: ``core.dslnet.Convert`` with these settings, computing what keeps this machine busy."""
    num_streams = 1
    if settings.strength:
        # Here, as it loads torch, which takes seconds and is of no use to plain conversion.
        from vsdslnet.inference.backends import frames_under_way

        num_streams = frames_under_way(settings.part(BackendOptions))
    if info.call is not None:
        return convert(_script_clip(info), settings, num_streams=num_streams)
    assert info.track is not None
    opened = _video_source(info.path, info.track, threads, index)
    clip = opened["clip"] if isinstance(opened, dict) else opened  # with alpha beside it
    return convert(_as_shown(clip, info), settings, num_streams=num_streams)


def convert(clip: vs.VideoNode, settings: EncodeSettings, *, num_streams: int = 1) -> vs.VideoNode:
    """``core.dslnet.Convert`` with these settings; ClipError if it refuses the clip.

    In the source's subsampling for what is delivered in 4:2:0, else in R'G'B', which nothing was taken from.
    """
    arguments: dict[str, Any] = {"num_streams": num_streams}
    if form_of(settings).pixels != _HDR10_PIXELS:
        arguments["format"] = vs.RGB48
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


def deliver(
    clip: vs.VideoNode, *, peak_nits: float, transfer: OutputTransfer = "pq", pixels: str = _HDR10_PIXELS
) -> vs.VideoNode:
    """The converted clip as the encoder gets it, in the format that VapourSynth calls ``pixels``.

    YUV of 10 bits: limited range, chroma top-left in 4:2:0 and left in 4:2:2. PQ stays within the peak, which is what
    its metadata say; HLG may pass 1. An odd last column or row is repeated once where chroma is subsampled.
    RGB48 is what Convert gave.
    """
    target = vs.core.get_video_format(getattr(vs, pixels))
    if target.color_family == vs.RGB:
        return clip
    if clip.width % (1 << target.subsampling_w):
        clip = vs.core.std.StackHorizontal([clip, clip.std.CropAbs(1, clip.height, clip.width - 1, 0)])
    if clip.height % (1 << target.subsampling_h):
        clip = vs.core.std.StackVertical([clip, clip.std.CropAbs(clip.width, 1, 0, clip.height - 1)])
    ten_bits = clip.resize.Bicubic(
        format=target.id,
        matrix_s="2020ncl",
        transfer_s="st2084" if transfer == "pq" else "std-b67",
        primaries_s="2020",
        range_s="limited",
        chromaloc_s="top_left" if target.subsampling_h else "left",
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


def _open_script(info: SourceInfo, threads: int, index: Path | None) -> Source:
    """A script's output 0, at the times of the file beside it or at its own."""
    clip = _script_clip(info)
    timeline, picture = Timeline(), None
    if info.tracks is not None:
        with open_media(Path(info.tracks)) as media:
            timeline = read_timeline(media)
            rates = [] if info.track is None else claimed_rates(media.streams[info.track])
        if info.track is not None:
            _, times = _timed(info.tracks, info.track, timeline, threads, index)
            picture = PictureTimes(
                name=Path(info.tracks).name,
                timestamps=times.timestamps,
                time_base=times.time_base,
                rates=[Fraction(*rate) for rate in rates],
            )
    shown = script_times(
        info.path,
        len(clip),
        clip.fps or None,
        [] if clip.fps else _durations(clip, info),
        picture=picture,
        start_seconds=Fraction(timeline.start_seconds),
    )
    return Source(clip, shown.timestamps, shown.time_base, timeline, (shown.word,) if shown.word else ())


def _script_clip(info: SourceInfo) -> vs.VideoNode:
    """A script's output 0; MediaError if it is not the picture that was looked at."""
    assert info.call is not None
    clip = evaluate(Path(info.path), info.call).clip
    if (clip.width, clip.height) != (info.width, info.height):
        raise MediaError(
            f"{info.path}: gives {clip.width}x{clip.height} here, and gave {info.width}x{info.height} before; a script "
            "has to give the same picture wherever it is evaluated"
        )
    return clip


def _durations(clip: vs.VideoNode, info: SourceInfo) -> list[Fraction]:
    """Of each frame in seconds, for a clip whose rate varies."""
    durations = []
    try:
        for number, frame in enumerate(clip.frames(close=True)):
            length, per_second = (frame.props.get(name, 0) for name in ("_DurationNum", "_DurationDen"))
            if not length or not per_second:
                raise MediaError(
                    f"{info.path}: its rate varies, and frame {number} has no duration; say the rate in the script "
                    "with clip.std.AssumeFPS(fpsnum=..., fpsden=...)"
                )
            durations.append(Fraction(length, per_second))
    except vs.Error as error:
        raise MediaError(f"{info.path}: {frame_error(error)}") from None
    return durations


def _timed(path: str, track: int, timeline: Timeline, threads: int, index: Path | None) -> tuple[vs.VideoNode, _Times]:
    """A file's video as BestSource gives it, and when its frames are shown."""
    with stderr_caught():  # VapourSynth warns, past its own log handlers, that the timestamps' names are not declared
        opened = _video_source(path, track, threads, index, exporttimestamps=1)
    time_base = Fraction(opened["timebasenum"], opened["timebaseden"])
    told = opened["timestamps"]
    timestamps = [int(at) for at in ([told] if isinstance(told, int) else told)]  # of one frame it is no list
    gone_on = continued(timestamps, time_base, timeline.added.get(track, []))
    _check_goes_on(gone_on, time_base, path)
    one_frame = usual_step(gone_on) or 1 / (opened["clip"].fps or _UNKNOWN_FRAME_RATE) / time_base
    return opened["clip"], _Times(rising(gone_on, one_frame), time_base, one_frame)


def _video_source(path: str, track: int, threads: int, index: Path | None, **more: int) -> Any:
    cache: dict[str, Any] = {"cachemode": 0} if index is None else {"cachemode": 4, "cachepath": str(index)}
    told: vs.Error | None = None
    # Some decoders fail on several threads at once; one is slower, and asked when they have.
    for count in dict.fromkeys((threads, 1)):
        chosen = {"threads": count} if count else {}
        try:
            return _bestsource()(path, track=track, apply_rotation=0, showprogress=0, **cache, **chosen, **more)
        except vs.Error as error:
            told = told or error
    raise DecodeError(f"{path}: can't be decoded ({one_line(told)})")


def _bestsource() -> Any:
    return vs.core.bs.VideoSource


def _check_goes_on(timestamps: list[int], time_base: Fraction, path: str) -> None:
    """MediaError if the time starts again in a format whose packets are not read for that; one frame is damage."""
    valid = [at for at in timestamps if at != INVALID_TIMESTAMP]
    step = int(_STEP_BACK_SECONDS / time_base)
    for before, *after in zip(valid, *(valid[n:] for n in range(1, _RESTARTED_FRAMES + 1)), strict=False):
        if max(after) < before - step:
            raise MediaError(
                f"{path}: its time starts again after {float(before * time_base):.3f} s, as of files that were "
                "joined byte by byte; join them so that it goes on (mkvmerge -o OUT.mkv A.mkv + B.mkv)"
            )


def _check_constant(clip: vs.VideoNode, timestamps: list[int], time_base: Fraction, info: SourceInfo) -> None:
    """MediaError if the picture's size or format changes on the way, with the time."""
    if clip.width and clip.height and clip.format is not None and clip.format.color_family != vs.UNDEFINED:
        return
    first: tuple[int, int, str] | None = None
    for number, frame in enumerate(clip.frames(close=True)):
        now = frame.width, frame.height, frame.format.name
        if first is not None and now != first:
            seconds = float((timestamps[number] - timestamps[0]) * time_base)
            raise MediaError(changed(info, first, now, f"at {seconds:.3f} s"))
        first = now
    raise MediaError(
        f"{info.path}: its picture changes its format on the way; make it constant (ffmpeg -pix_fmt yuv420p)"
    )


def _as_shown(clip: vs.VideoNode, info: SourceInfo) -> vs.VideoNode:
    """With the container's tags, in whole pictures, without what the container hides and what is cut off."""
    shown = with_container_tags(clip, info.container_tags)
    if info.deinterlace is not None:  # before lines go: chroma's fields would change places
        shown = deinterlaced(shown, info.deinterlace, info.field_order)
    if any(info.crop):
        left, right, top, bottom = info.crop
        shown = shown.std.Crop(left, right, top, bottom)
    if any(info.cut):
        left, right, top, bottom = info.cut
        # Colours that nobody says are guessed from the size, which has to be that of the whole picture.
        shown = with_guessed_tags(shown, ColorOverrides(**info.known_colours)).std.Crop(left, right, top, bottom)
    return shown

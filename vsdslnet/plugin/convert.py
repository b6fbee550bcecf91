"""``core.dslnet.Convert``: an SDR clip in, an HDR10 clip out, as a graph of VapourSynth filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import vapoursynth as vs

from vsdslnet.color.h273 import Matrix, Range
from vsdslnet.hdr10 import mastering_display
from vsdslnet.looks import check_look
from vsdslnet.options import BackendOptions, ClipOptions, ConvertOptions, LookOptions
from vsdslnet.plugin.color_tags import ColorOverrides, guess_tags, read_tags
from vsdslnet.plugin.formats import check_input, default_dither, output_format
from vsdslnet.plugin.frames import SDR_FRAME, hdr_selector, look_selector
from vsdslnet.plugin.hdr_props import STALE_PROPS, chroma_location
from vsdslnet.plugin.hlg import pq_to_hlg
from vsdslnet.plugin.lut import frame_lattice, with_luts
from vsdslnet.plugin.peak import within_peak
from vsdslnet.plugin.plain import plain_hdr
from vsdslnet.plugin.scene import SceneCuts, with_scene_cuts
from vsdslnet.plugin.sdr_rgb import tagged, to_sdr_rgb
from vsdslnet.weights import find, is_lut, lut_of, model_radius_frames, read

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["convert", "convert_versions", "frame_lut"]


def convert(clip: vs.VideoNode, options: ClipOptions) -> vs.VideoNode:
    """Convert an SDR clip to HDR10 (BT.2020, PQ). Raises ArgumentError, ClipError, WeightsError.

    ``clip``: constant format and size, progressive, SDR: 8-16 bit integer or float, YUV, RGB or Gray, any subsampling.
    Frame properties are believed; gaps are guessed by size as players do.
    """
    readable, target, radius_frames = _checked(clip, options)
    settings, cuts = options.part(ConvertOptions), SceneCuts(options.scene_cuts)
    if options.is_plain:
        hdr = plain_hdr(readable, white_nits=options.white_nits)
    elif is_lut(options.model):
        backend, looks, yuv = (
            options.part(BackendOptions),
            [options.part(LookOptions)],
            _stays_yuv(clip, target, options),
        )
        [hdr] = with_luts(readable, backend, looks, radius_frames, cuts, yuv=yuv)
    else:
        hdr = _to_hdr_rgb(to_sdr_rgb(readable), settings, radius_frames, options.num_streams, cuts)
    return _finished(hdr, target, options)


def convert_versions(clip: vs.VideoNode, options: Sequence[ClipOptions]) -> list[vs.VideoNode]:
    """:func:`convert` with each of these options, which differ in their looks alone, to the same bits.

    What the network has to do for a frame is done once and serves them all while the core remembers it: take frame by
    frame of all of them. Raises as :func:`convert` does.
    """
    checked = [_checked(clip, each) for each in options]
    readable, target, radius_frames = checked[0]
    first, cuts = options[0], SceneCuts(options[0].scene_cuts)
    looks = [each.part(LookOptions) for each in options]
    if is_lut(first.model):
        yuv = _stays_yuv(readable, target, first)
        clips = with_luts(readable, first.part(BackendOptions), looks, radius_frames, cuts, yuv=yuv)
    else:
        sdr = to_sdr_rgb(readable)
        settings = ConvertOptions(**vars(first.part(BackendOptions)))
        network = _to_hdr_rgb(sdr, settings, radius_frames, first.num_streams, cuts)
        network.std.SetVideoCache(mode=1, fixedsize=1, maxsize=2)
        both = network.std.ClipToProp(sdr, prop=SDR_FRAME)
        clips = [
            vs.core.dslnet.Window(both, look_selector(look), radius=0).std.RemoveFrameProps([SDR_FRAME])
            for look in looks
        ]
    return [
        _finished(plain_hdr(readable, white_nits=each.white_nits) if each.is_plain else hdr, target, each)
        for each, hdr in zip(options, clips, strict=True)
    ]


def _checked(clip: vs.VideoNode, options: ClipOptions) -> tuple[vs.VideoNode, vs.VideoFormat, int]:
    """The clip with complete colour tags and scene cuts, the output's format, and the model's radius."""
    overrides = options.part(ColorOverrides)
    check_input(clip)
    overrides.check_family(clip.format.color_family)
    target = output_format(clip, options.format)
    radius_frames = model_radius_frames(options.model)
    if options.look is not None:
        check_look(options.look, read(find(options.model)).config.base)
    _check_first_frame(clip, overrides)
    return with_scene_cuts(tagged(clip, overrides), SceneCuts(options.scene_cuts)), target, radius_frames


def _stays_yuv(clip: vs.VideoNode, target: vs.VideoFormat, options: ClipOptions) -> bool:
    """Whether LUTs can take and give YUV: not floats, which may hold more than codes do, nor before HLG's curve."""
    integers = clip.format.sample_type == target.sample_type == vs.INTEGER
    return integers and clip.format.color_family == target.color_family == vs.YUV and options.transfer == "pq"


def _finished(hdr: vs.VideoNode, target: vs.VideoFormat, options: ClipOptions) -> vs.VideoNode:
    dither_type = options.dither_type or default_dither(target, is_quick=is_lut(options.model))
    if options.transfer == "hlg":
        return _to_hlg_output(hdr, target, options.peak_nits, dither_type)
    return _to_output(hdr, target, options.peak_nits, dither_type)


def frame_lut(
    clip: vs.VideoNode,
    n: int,
    *,
    settings: ConvertOptions,
    overrides: ColorOverrides | None = None,
    cuts: SceneCuts = SceneCuts.PROPS,
) -> Tensor:
    """The 3D LUT that a model with "-lut" behind it applies to frame n, the look included.

    (3, S, S, S), red along the last axis: SDR R'G'B' (BT.709, BT.1886, full range) to PQ R'G'B' (BT.2020).
    Raises as :func:`convert` does, and vs.Error if a frame can't be had.
    """
    overrides = overrides or ColorOverrides()
    check_input(clip)
    overrides.check_family(clip.format.color_family)
    _check_first_frame(clip, overrides)
    settings = replace(settings, model=lut_of(settings.model))
    readable = with_scene_cuts(tagged(clip, overrides), cuts)
    return frame_lattice(readable, n, settings, model_radius_frames(settings.model), cuts)


def _check_first_frame(clip: vs.VideoNode, overrides: ColorOverrides) -> None:
    """Say at once what the first frame would say later; every frame is checked again when it comes."""
    family = clip.format.color_family
    with clip.get_frame(0) as frame:
        read_tags(frame.props, family, guess_tags(family, clip.width, clip.height), overrides)


def _to_hdr_rgb(
    sdr: vs.VideoNode, settings: ConvertOptions, radius_frames: int, num_streams: int, cuts: SceneCuts
) -> vs.VideoNode:
    """RGBS, PQ BT.2020.

    A Window computes one frame at a time. More streams are more Windows taking turns, rather than a lock
    inside one: the core's threads then never wait, and other filters go on.
    """
    streams = [
        vs.core.dslnet.Window(sdr, hdr_selector(settings), radius=radius_frames, cuts=cuts is not SceneCuts.NONE)
        for _ in range(min(num_streams, sdr.num_frames))
    ]
    if len(streams) == 1:
        return streams[0]
    turns = [stream.std.SelectEvery(len(streams), turn, modify_duration=False) for turn, stream in enumerate(streams)]
    return vs.core.std.Interleave(turns, modify_duration=False)


def _to_output(hdr: vs.VideoNode, target: vs.VideoFormat, peak_nits: float, dither_type: str) -> vs.VideoNode:
    """The format asked for, and the properties that make it HDR10."""
    clip = within_peak(_in_format(hdr, target, dither_type), peak_nits)
    return clip.std.RemoveFrameProps(list(STALE_PROPS)).std.SetFrameProps(
        **mastering_display(peak_nits).frame_properties()
    )


def _to_hlg_output(hdr: vs.VideoNode, target: vs.VideoFormat, peak_nits: float, dither_type: str) -> vs.VideoNode:
    """The format asked for, in HLG, which no mastering display belongs to: displays adapt it to themselves."""
    clip = _in_format(pq_to_hlg(within_peak(hdr, peak_nits), peak_nits), target, dither_type)
    return clip.std.RemoveFrameProps([*STALE_PROPS, *mastering_display(peak_nits).frame_properties()])


def _in_format(clip: vs.VideoNode, target: vs.VideoFormat, dither_type: str) -> vs.VideoNode:
    """R'G'B' as the YUV or RGB asked for; the curve stays."""
    is_rgb = target.color_family == vs.RGB
    return clip.resize.Bicubic(
        format=target.id,
        matrix=Matrix.RGB if is_rgb else Matrix.BT2020_NCL,
        range=Range.FULL if is_rgb else Range.LIMITED,
        chromaloc=chroma_location(target.subsampling_w, target.subsampling_h),
        dither_type=dither_type,
    )

"""``core.dslnet.Convert``: an SDR clip in, an HDR10 clip out, as a graph of VapourSynth filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import vapoursynth as vs

from vsdslnet.color.h273 import Matrix, Range
from vsdslnet.errors import ArgumentError
from vsdslnet.hdr10 import mastering_display
from vsdslnet.inference.settings import ConvertSettings
from vsdslnet.plugin.color_tags import ColorOverrides, guess_tags, read_tags
from vsdslnet.plugin.formats import check_input, default_dither, output_format
from vsdslnet.plugin.frames import hdr_selector
from vsdslnet.plugin.hdr_props import STALE_PROPS, chroma_location
from vsdslnet.plugin.lut import frame_lattice, with_luts
from vsdslnet.plugin.peak import within_peak
from vsdslnet.plugin.scene import SceneCuts, with_scene_cuts
from vsdslnet.plugin.sdr_rgb import tagged, to_sdr_rgb
from vsdslnet.weights import is_lut, model_radius_frames

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["convert", "frame_lut"]

MAX_STREAMS = 64
_DITHER_TYPES = ("none", "ordered", "random", "error_diffusion")


def convert(
    clip: vs.VideoNode,
    *,
    model: str = "dslnet",
    peak: float = 1000.0,
    strength: float = 1.0,
    saturation: float = 1.0,
    format: int | None = None,
    matrix_in: int | None = None,
    transfer_in: int | None = None,
    primaries_in: int | None = None,
    range_in: int | None = None,
    chromaloc_in: int | None = None,
    device: str = "auto",
    device_index: int = 0,
    precision: str = "auto",
    backend: str = "auto",
    num_streams: int = 1,
    tile: int | list[int] | None = None,
    scene_cuts: str = "props",
    dither_type: str | None = None,
) -> vs.VideoNode:
    """Convert an SDR clip to HDR10 (BT.2020, PQ). Raises ArgumentError, ClipError, WeightsError.

    clip          constant format and size, progressive, SDR: 8-16 bit or float, YUV, RGB or Gray, any
                  subsampling. Frame properties are believed; gaps are guessed by size as players do.
    model         name of an installed model, or the path of a .safetensors file; with "-lut" behind it the
                  network's colours only, learnt at key frames and applied as 3D LUTs, for previews.
    peak          nits of the brightest highlight.
    strength      0 (plain colour conversion, white at 203 nits) to 1 (the network).
    saturation    factor on chroma, in ICtCp.
    format        output format; default 16-bit with the input's subsampling, RGB48 for RGB, YUV444P16 for Gray.
                  YUV and Gray are limited range with BT.2020's non-constant luminance matrix, RGB is full range.
    *_in          H.273 codes (``range_in``: 1 full, 0 limited) that overrule the frames' own properties.
    device        auto, cpu, cuda; ``device_index`` counts from 0.
    precision     auto, fp32, bf16, fp16.    backend  auto, torch, openvino.
    num_streams   frames computed at the same time, sharing the threads; of LUTs as many as the core has threads.
    tile          [width, height] in pixels; by default chosen by the memory available.
    scene_cuts    props, detect or none: where windows of frames end (see SceneCuts).
    dither_type   as in core.resize; default error_diffusion below 16 bits, else none.
    """
    settings = ConvertSettings(
        model=_text("model", model),
        peak_nits=peak,
        strength=strength,
        saturation=saturation,
        device=_text("device", device),
        device_index=device_index,
        precision=_text("precision", precision),
        backend=_text("backend", backend),
        tile=None if tile is None else _tile(tile),
    )
    overrides = ColorOverrides(
        matrix_in=matrix_in,
        transfer_in=transfer_in,
        primaries_in=primaries_in,
        range_in=range_in,
        chromaloc_in=chromaloc_in,
    )
    cuts = SceneCuts.parse(_text("scene_cuts", scene_cuts))
    if not 1 <= num_streams <= MAX_STREAMS:
        raise ArgumentError("num_streams", num_streams, f"1 to {MAX_STREAMS} frames at the same time")
    if dither_type is not None and dither_type not in _DITHER_TYPES:
        raise ArgumentError("dither_type", dither_type, "one of " + ", ".join(_DITHER_TYPES))
    check_input(clip)
    overrides.check_family(clip.format.color_family)
    target = output_format(clip, format)
    radius_frames = model_radius_frames(settings.model)
    _check_first_frame(clip, overrides)

    readable = with_scene_cuts(tagged(clip, overrides), cuts)
    if is_lut(settings.model):
        hdr = with_luts(readable, settings, radius_frames, cuts)
    else:
        hdr = _to_hdr_rgb(to_sdr_rgb(readable), settings, radius_frames, num_streams, cuts)
    return _to_output(hdr, target, settings.peak_nits, dither_type or default_dither(target))


def frame_lut(
    clip: vs.VideoNode,
    n: int,
    *,
    settings: ConvertSettings,
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
    readable = with_scene_cuts(tagged(clip, overrides), cuts)
    return frame_lattice(readable, n, settings, model_radius_frames(settings.model), cuts)


def _check_first_frame(clip: vs.VideoNode, overrides: ColorOverrides) -> None:
    """Say at once what the first frame would say later; every frame is checked again when it comes."""
    family = clip.format.color_family
    with clip.get_frame(0) as frame:
        read_tags(frame.props, family, guess_tags(family, clip.width, clip.height), overrides)


def _to_hdr_rgb(
    sdr: vs.VideoNode, settings: ConvertSettings, radius_frames: int, num_streams: int, cuts: SceneCuts
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
    is_rgb = target.color_family == vs.RGB
    clip = hdr.resize.Bicubic(
        format=target.id,
        matrix=Matrix.RGB if is_rgb else Matrix.BT2020_NCL,
        range=Range.FULL if is_rgb else Range.LIMITED,
        chromaloc=chroma_location(target.subsampling_w, target.subsampling_h),
        dither_type=dither_type,
    )
    clip = within_peak(clip, peak_nits)
    return clip.std.RemoveFrameProps(list(STALE_PROPS)).std.SetFrameProps(
        **mastering_display(peak_nits).frame_properties()
    )


def _text(argument: str, value: object) -> str:
    """A string argument; VapourSynth passes bytes on when they are not UTF-8."""
    if isinstance(value, str):
        return value
    raise ArgumentError(argument, value, "text in UTF-8")


def _tile(value: int | list[int]) -> tuple[int, int]:
    sizes = value if isinstance(value, list) else [value]
    if len(sizes) != 2:
        raise ArgumentError("tile", value, "[width, height] in pixels", "leave it out to have it chosen")
    return sizes[0], sizes[1]

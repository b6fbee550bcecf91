"""Which clips Convert takes and which formats it gives."""

from __future__ import annotations

import vapoursynth as vs

from vsdslnet.errors import ArgumentError, ClipError

__all__ = ["check_input", "default_dither", "output_format"]

_MAX_SUBSAMPLING_LOG2 = 2  # zimg's limit: 4:1:0
_OUTPUT_CURE = "take vs.YUV420P10, vs.YUV420P16, vs.YUV444P16, vs.RGB48 or vs.RGBS, or leave it out"
_OUTPUT_ALLOWED = "YUV, RGB or Gray with 10 to 16 bits or 16/32-bit float"


def check_input(clip: vs.VideoNode) -> None:
    """Refuse what can't be converted, before a frame is asked for (ClipError with the cure)."""
    video_format = clip.format
    if video_format is None or video_format.color_family == vs.UNDEFINED or not clip.width or not clip.height:
        raise ClipError(
            "the clip changes its format or size: make it constant first, for example with "
            "core.resize.Bicubic(clip, width=1920, height=1080, format=vs.YUV420P8)"
        )
    is_float = video_format.sample_type == vs.FLOAT
    if not is_float and not 8 <= video_format.bits_per_sample <= 16:
        raise ClipError(
            f"the clip is {video_format.name}: Convert takes 8 to 16-bit integer and 16 or 32-bit float; "
            "convert it first with core.resize.Bicubic(clip, format=...)"
        )
    if max(video_format.subsampling_w, video_format.subsampling_h) > _MAX_SUBSAMPLING_LOG2:
        raise ClipError(
            f"the clip is {video_format.name}: chroma may be subsampled by 4 at most; rebuild it with "
            "core.std.ShufflePlanes and core.resize as 4:2:0"
        )


def output_format(clip: vs.VideoNode, requested: int | None) -> vs.VideoFormat:
    """The format Convert gives: as asked, else 16-bit with the input's subsampling.

    RGB gives RGB48, and Gray gives YUV444P16: the network may tint what was grey.
    """
    if requested is None:
        return _default_format(clip.format)
    video_format = _format_of(requested)
    if video_format is None:
        raise ArgumentError("format", requested, f"a VapourSynth format: {_OUTPUT_ALLOWED}", _OUTPUT_CURE)
    if video_format.sample_type == vs.INTEGER and not 10 <= video_format.bits_per_sample <= 16:
        raise ArgumentError("format", video_format.name, f"{_OUTPUT_ALLOWED} (8-bit PQ shows bands)", _OUTPUT_CURE)
    if max(video_format.subsampling_w, video_format.subsampling_h) > _MAX_SUBSAMPLING_LOG2:
        raise ArgumentError("format", video_format.name, "chroma subsampled by 4 at most", _OUTPUT_CURE)
    if clip.width % (1 << video_format.subsampling_w) or clip.height % (1 << video_format.subsampling_h):
        raise ArgumentError(
            "format",
            video_format.name,
            f"a subsampling that divides {clip.width}x{clip.height}",
            "crop or pad the clip, or take vs.YUV444P16 or vs.RGB48",
        )
    return video_format


def _format_of(video_id: int) -> vs.VideoFormat | None:
    try:
        video_format = vs.core.get_video_format(video_id)
    except (vs.Error, ValueError, OverflowError):
        return None
    return None if video_format.color_family == vs.UNDEFINED else video_format


def _default_format(source: vs.VideoFormat) -> vs.VideoFormat:
    if source.color_family == vs.GRAY:
        return source.replace(color_family=vs.YUV, sample_type=vs.INTEGER, bits_per_sample=16)
    return source.replace(sample_type=vs.INTEGER, bits_per_sample=16)


def default_dither(video_format: vs.VideoFormat, *, is_quick: bool) -> str:
    """Below 16 bits PQ needs dither to stay free of bands; at 16 bits and in float it would only add noise.

    Error diffusion, whose noise is the least regular; for what ``is_quick`` otherwise a pattern: diffusion took a
    quarter of a LUT's frame, and x265 makes files of the same size and distortion of both.
    """
    needs_dither = video_format.sample_type == vs.INTEGER and video_format.bits_per_sample < 16
    return ("ordered" if is_quick else "error_diffusion") if needs_dither else "none"

"""What a file says of its colours, in its container and with its first frames, and whether that is HDR.

The container is asked before the first frame is decoded: FFmpeg's decoders of HEVC and ProRes put the bitstream's tags
over the container's, and "unspecified" where the bitstream has none. Those of H.264, VP9 and AV1 keep them (FFmpeg 9).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Any

import vapoursynth as vs
from av.video.reformatter import ColorRange

from vsdslnet.color.h273 import Matrix, Primaries, Range, Transfer
from vsdslnet.errors import ClipError, MediaError
from vsdslnet.plugin.color_tags import ColorOverrides, guess_tags, read_tags
from vsdslnet.plugin.frames import reporting
from vsdslnet.plugin.hdr_signs import DOLBY_VISION_ALONE, first_integer, hdr_sign

__all__ = [
    "HDR_CURE",
    "INTERLACED_CURE",
    "check_frame",
    "colours_in_words",
    "container_fields",
    "container_tags",
    "file_hdr_sign",
    "first_tags",
    "missing_in",
    "with_container_tags",
    "with_guessed_tags",
]

INTERLACED_CURE = "--deinterlace frame, --deinterlace field, or a script (.vpy), as for telecined film"
HDR_CURE = "there is nothing to convert, unless it is SDR after all: then say --transfer-in 1"

_UNSPECIFIED = {
    **{"_Matrix": Matrix.UNSPECIFIED, "_Transfer": Transfer.UNSPECIFIED, "_Primaries": Primaries.UNSPECIFIED},
    "_FieldBased": 0,  # what BestSource makes of a frame that says nothing
}
_RANGES = {int(ColorRange.MPEG): Range.LIMITED, int(ColorRange.JPEG): Range.FULL}
# AVFieldOrder of FFmpeg: TT, BB, TB, BT; the field that is stored first counts, as in its decoders of raw pictures.
_FIELD_ORDERS = {2: 2, 3: 1, 4: 2, 5: 1}
_SILENT_OF_FIELDS = ("ffvhuff", "huffyuv", "jpeg2000", "png", "qtrle", "r10k", "r210", "v308", "v408", "v410")
# FFmpeg's names of grey formats, with alpha and without.
_GREY_FORMATS = ("gray", "ya8", "ya16")
# video_full_range_flag is 0 unless it is there (H.264 and H.265, E.2.1).
_LIMITED_WHEN_SILENT = ("h264", "hevc", "vvc")
# bl_signal_compatibility_id: what a player without Dolby Vision takes the picture for.
_DOLBY_VISION_BASES = {0: DOLBY_VISION_ALONE, 1: "over HDR10", 4: "over HLG", 6: "over HDR10"}
_SDR_BASE = 2


def container_tags(stream: Any) -> dict[str, int]:
    """What the container says of a stream that is not decoded yet, as frame properties; nothing where it is silent.

    Grey that says nothing is full range where no standard of its codec says otherwise: PGM, TIFF, Targa, JPEG 2000 and
    raw grey have white at the highest code, and FFmpeg's own scaler takes all grey for full range.
    """
    context = stream.codec_context
    grey = context.format is not None and context.format.name.startswith(_GREY_FORMATS)
    silent = {"_Range": Range.FULL} if grey and context.name not in _LIMITED_WHEN_SILENT else {}
    return {**silent, **_props(context, context.chroma_sample_location)}


def container_fields(stream: Any) -> dict[str, int]:
    """The property of interlaced frames, where the container calls them so and their codec has no word for it.

    What other codecs say of their own frames is believed: containers are often wrong.
    """
    context = stream.codec_context
    value = _FIELD_ORDERS.get(int(context.field_order), 0) if context.name in _SILENT_OF_FIELDS else 0
    return {"_FieldBased": value} if value else {}


def file_hdr_sign(stream: Any, declared: Mapping[str, int], frames: Iterable[Any]) -> str | None:
    """Why a file is taken for HDR, in words: by its container, by Dolby Vision's record, or by its first frames."""
    in_container = hdr_sign(declared)
    if in_container:
        return f"{in_container} in the container"
    record = stream.codec_context.coded_side_data.get("dovi_conf")
    if record is not None:
        # AVDOVIDecoderConfigurationRecord of FFmpeg
        profile, compatibility = bytes(record)[2], bytes(record)[7]
        if compatibility != _SDR_BASE:
            return f"Dolby Vision profile {profile}, {_DOLBY_VISION_BASES.get(compatibility, 'not over SDR')}"
    for frame in frames:
        sign = hdr_sign({**declared, **_frame_props(frame)})
        if sign:
            return sign
    return None


def missing_in(frames: Iterable[Any], declared: Mapping[str, int]) -> dict[str, int]:
    """The container's tags that a decoded frame among these lacks."""
    told = [_frame_props(frame) for frame in frames]
    return {name: value for name, value in declared.items() if any(name not in props for props in told)}


def check_frame(
    path: Path | str, number: int, props: Mapping[str, Any], overrides: ColorOverrides, *, of_script: bool = False
) -> None:
    """MediaError for a frame that can't be converted: an interlaced one, or HDR where the user knows no better."""
    if first_integer(props, "_FieldBased"):
        cure = "do it in the script" if of_script else INTERLACED_CURE
        raise MediaError(f"{path}: frame {number} is interlaced; deinterlace it: {cure}")
    if overrides.transfer_in is None:
        sign = hdr_sign(props, believe_matrix=overrides.matrix_in is None)
        if sign and of_script and "DSLNetMaxNits" in props:
            raise MediaError(
                f"{path}: already holds core.dslnet.Convert, which is called here; take it out of the script"
            )
        if sign:
            raise MediaError(f"{path}: is HDR from frame {number} on ({sign}); {HDR_CURE}")


def first_tags(frames: Sequence[Any], declared: Mapping[str, int]) -> dict[str, int]:
    """Colour tags of the first decoded frame, with the container's where it has none, as frame properties."""
    return {**declared, **_props(frames[0], frames[0].chroma_location)}


def colours_in_words(tags: Mapping[str, int], *, is_rgb: bool, width: int, height: int) -> str:
    """What an SDR source of these tags and this size in pixels is taken for, and which of it is a guess."""
    family = vs.RGB if is_rgb else vs.YUV
    read = read_tags(tags, family, guess_tags(family, width, height), ColorOverrides())
    found = {
        "matrix": ("_Matrix", read.matrix, Matrix),
        "transfer": ("_Transfer", read.transfer, Transfer),
        "primaries": ("_Primaries", read.primaries, Primaries),
        "range": ("_Range", read.range, Range),
    }
    words = [f"{what} {_name(kind, code)}" for what, (_, code, kind) in found.items()]
    guessed = [what for what, (prop, code, _) in found.items() if tags.get(prop) != code]
    if not guessed:
        return f"{', '.join(words)}, as it says itself"
    return f"{', '.join(words)}; guessed: {', '.join(guessed)} (if you know better: --{guessed[0]}-in)"


def _name(kind: type[IntEnum], code: int) -> str:
    name = kind(code).name if code in set(kind) else f"code {code}"
    return name.lower() if kind is Range else name.replace("_", "-")


def with_container_tags(clip: vs.VideoNode, declared: Mapping[str, int]) -> vs.VideoNode:
    """The clip with the container's tags on frames that have none of their own."""
    if not declared:
        return clip

    def told(frames: list[vs.VideoFrame]) -> vs.VideoFrame:
        frame = frames[0].copy()
        for name, value in declared.items():
            if first_integer(frame.props, name) in (None, _UNSPECIFIED.get(name)):
                frame.props[name] = value
        return frame

    return vs.core.dslnet.Window(clip, reporting(told), radius=0)


def with_guessed_tags(clip: vs.VideoNode, overrides: ColorOverrides) -> vs.VideoNode:
    """The clip with all its tags on each frame, guessed from its size where it is silent, for what alters its size.

    ``overrides`` are those that it will be converted with.
    """
    family = clip.format.color_family
    guess = guess_tags(family, clip.width, clip.height)

    def told(frames: list[vs.VideoFrame]) -> vs.VideoFrame:
        frame = frames[0].copy()
        # A frame that is refused comes through as it is: whoever converts it says why.
        with suppress(ClipError):
            frame.props.update(read_tags(frame.props, family, guess, overrides).as_props(family))
        return frame

    return vs.core.dslnet.Window(clip, reporting(told), radius=0)


def _frame_props(frame: Any) -> dict[str, Any]:
    """The properties that BestSource would give a decoded frame, as far as they tell HDR."""
    props: dict[str, Any] = dict(_props(frame, frame.chroma_location))
    side_data = {kind.name: data for kind, data in frame.side_data.items()}
    for name, kind in (("DolbyVisionRPU", "DOVI_RPU_BUFFER"), ("HDR10Plus", "DYNAMIC_HDR_PLUS")):
        if kind in side_data:
            props[name] = bytes(side_data[kind])
    if "MASTERING_DISPLAY_METADATA" in side_data:
        # AVMasteringDisplayMetadata of FFmpeg: ten rationals, the last the most luminance; then two flags
        *_, numerator, denominator, _, has_luminance = struct.unpack("=22i", side_data["MASTERING_DISPLAY_METADATA"])
        if has_luminance and denominator:
            props["MasteringDisplayMaxLuminance"] = numerator / denominator
    if "CONTENT_LIGHT_LEVEL" in side_data:
        props["ContentLightLevelMax"] = struct.unpack_from("=I", side_data["CONTENT_LIGHT_LEVEL"])[0]
    return props


def _props(told: Any, chroma_location: int) -> dict[str, int]:
    """Codes of FFmpeg, which are those of H.273 but for range and chroma location, without the unspecified ones."""
    codes = {"_Matrix": told.colorspace, "_Transfer": told.color_trc, "_Primaries": told.color_primaries}
    props = {name: int(code) for name, code in codes.items() if int(code) != _UNSPECIFIED[name]}
    if int(told.color_range) in _RANGES:
        props["_Range"] = _RANGES[int(told.color_range)]
    if int(chroma_location) > 0:
        props["_ChromaLocation"] = int(chroma_location) - 1
    return props

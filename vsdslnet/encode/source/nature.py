"""What a picture has beside its colours: pixels that the container hides, and things that no HDR10 file has."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import av

__all__ = ["hidden_pixels", "left_out_by_nature", "pixels_a_chroma_sample"]


def hidden_pixels(stream: Any, frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) that Matroska's crop flags or MP4's clean aperture hide.

    Down to whole chroma samples, so that nothing is hidden that should be seen; none if nothing would be left.
    """
    told = bytes(stream.codec_context.coded_side_data.get("frame_cropping", b""))
    if len(told) < 16:
        return 0, 0, 0, 0
    top, bottom, left, right = struct.unpack("=4I", told[:16])  # AV_PKT_DATA_FRAME_CROPPING
    across, down = pixels_a_chroma_sample(frame)
    left, right = (pixels - pixels % across for pixels in (left, right))
    top, bottom = (pixels - pixels % down for pixels in (top, bottom))
    if left + right >= frame.width or top + bottom >= frame.height:
        return 0, 0, 0, 0
    return left, right, top, bottom


def left_out_by_nature(stream: Any, frames: Sequence[av.VideoFrame]) -> tuple[str, ...]:
    """What these first frames and their stream have and the HDR picture will not, in words."""
    beside = set(stream.codec_context.coded_side_data)
    with_frames = {kind.name for frame in frames for kind in frame.side_data}
    found = []
    # VP8 and VP9 have it beside the frames, which decoders but their own library's leave out.
    beside_frames = stream.metadata.get("alpha_mode", "0") != "0"
    if beside_frames or any(component.is_alpha for component in frames[0].format.components):
        found.append("alpha (HDR10 pictures are opaque)")
    if "A53_CC" in with_frames:
        found.append("closed captions inside the picture (CEA-608/708; ccextractor saves them as subtitles)")
    if "spherical" in beside or "SPHERICAL" in with_frames:
        found.append("360-degree projection (the picture is kept, what marks it as spherical is not)")
    if "stereo_3d" in beside or "STEREO3D" in with_frames:
        found.append("stereoscopic 3D marking (the picture is kept, what tells its views apart is not)")
    if "dovi_conf" in beside or "DOVI_RPU_BUFFER" in with_frames:
        found.append("Dolby Vision's metadata (the SDR picture under them is converted)")
    return tuple(found)


def pixels_a_chroma_sample(frame: av.VideoFrame) -> tuple[int, int]:
    """Across and down."""
    chroma = frame.format
    if chroma.is_rgb or len(chroma.components) < 3:
        return 1, 1
    return 16 // chroma.chroma_width(16), 16 // chroma.chroma_height(16)

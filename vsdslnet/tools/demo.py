"""The whole way on a clip of its own: an SDR file, its HDR10 file, and a picture of both."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from vsdslnet.tools.demo_scene import dusk_frames

__all__ = ["before_after_png", "write_sdr_clip"]

_RATE = Fraction(24)


def write_sdr_clip(path: Path, *, width: int = 384, height: int = 216, frames: int = 24) -> Path:
    """Write the demo scene as H.264, 8-bit 4:2:0, BT.709 limited range, tagged as such."""
    import av
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.color_primaries = ColorPrimaries.BT709
        stream.codec_context.color_trc = ColorTrc.BT709
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        for picture in dusk_frames(width, height, frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def before_after_png(sdr: Path, picture: Path, *, frame: int = 12, model: str = "dslnet") -> Path:
    """Draw a frame of an SDR file before and after, and its light in nits as false colour, one under the other.

    The HDR side is tone-mapped for an SDR screen: what an HDR screen adds is in the false colours.
    """
    import torch
    import vapoursynth as vs

    from vsdslnet.views.pixels import false_colour_nits, sdr_to_picture, tone_map_for_sdr
    from vsdslnet.views.png import picture_png

    clip = vs.core.bs.VideoSource(str(sdr), cachemode=0)
    before = clip.resize.Bicubic(format=vs.RGBS)
    after = vs.core.dslnet.Convert(clip, format=vs.RGBS, model=model)
    planes = [
        np.stack([np.asarray(shown[p]) for p in range(3)]) for shown in (f.get_frame(frame) for f in (before, after))
    ]
    sdr_rgb, pq = (torch.from_numpy(p.copy()) for p in planes)
    rows = [sdr_to_picture(sdr_rgb), tone_map_for_sdr(pq), false_colour_nits(pq)]
    picture.write_bytes(picture_png(np.ascontiguousarray(np.vstack(rows))))
    return picture

"""ProRes and DNxHR by PyAV: ten bits, limited range, every picture alone, each saying BT.2020 in its own header."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import vapoursynth as vs

from vsdslnet.color.h273 import Matrix, Primaries, Transfer
from vsdslnet.encode.bitstream.intra import dnxhr_of_bt2020, prores_colours, write_picture
from vsdslnet.encode.chunk.encoder_interface import Picture
from vsdslnet.encode.chunk.encoder_parameters import INTRA_ENCODERS
from vsdslnet.encode.ffmpeg_log import ffmpeg_messages, ffmpeg_reason
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import JobError

__all__ = ["IntraEncoder"]

_FFMPEG_LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG


class IntraEncoder:
    """See :class:`~vsdslnet.encode.chunk.encoder_interface.ChunkEncoder`."""

    def __init__(self, settings: EncodeSettings, pixels: str, *, picture: Picture, path: Path) -> None:
        told = INTRA_ENCODERS[settings.codec]
        self._is_prores = settings.codec == "prores"
        transfer = Transfer.PQ if settings.transfer == "pq" else Transfer.HLG
        self._colours = (Primaries.BT2020, transfer, Matrix.BT2020_NCL)
        context: Any = cast(Any, av.VideoCodecContext.create(told.name, "w"))
        self._context = context
        context.width, context.height, context.pix_fmt = picture.width, picture.height, told.pixel_formats[pixels]
        context.framerate, context.time_base = picture.frame_rate, 1 / picture.frame_rate
        context.sample_aspect_ratio = picture.sample_aspect
        context.color_primaries, context.color_trc, context.colorspace = self._colours
        context.color_range = _FFMPEG_LIMITED_RANGE
        context.options = {"profile": told.profiles[settings.profile]}
        with ffmpeg_messages(av.logging.ERROR) as messages:
            try:
                context.open()
            except (av.FFmpegError, OSError, ValueError) as error:
                raise JobError(messages[0][2].strip().rstrip(".") if messages else ffmpeg_reason(error)) from None
        self._file, self._fed = path.open("wb"), 0

    def feed(self, frame: vs.VideoFrame) -> None:
        """See :class:`~vsdslnet.encode.chunk.encoder_interface.ChunkEncoder`."""
        picture = av.VideoFrame(frame.width, frame.height, self._context.pix_fmt)
        for number, plane in enumerate(picture.planes):
            source = np.asarray(frame[number])
            rows = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)
            rows[:, : source.shape[1]] = source
        # prores_ks takes what its headers say from the frames, not from the context.
        picture.color_primaries, picture.color_trc, picture.colorspace = self._colours
        picture.color_range = _FFMPEG_LIMITED_RANGE
        picture.pts, picture.time_base = self._fed, self._context.time_base
        self._fed += 1
        self._write(picture)

    def close(self) -> None:
        """See :class:`~vsdslnet.encode.chunk.encoder_interface.ChunkEncoder`."""
        with self._file:
            self._write(None)

    def abort(self) -> None:
        """See :class:`~vsdslnet.encode.chunk.encoder_interface.ChunkEncoder`."""
        self._file.close()

    def _write(self, picture: av.VideoFrame | None) -> None:
        try:
            packets = self._context.encode(picture)
        except av.FFmpegError as error:
            raise JobError(f"the encoder failed ({error.strerror})") from None
        for packet in packets:
            data = bytes(packet)
            if not self._is_prores:
                data = dnxhr_of_bt2020(data)
            elif prores_colours(data) != self._colours:
                raise JobError(f"the encoder says {prores_colours(data)} of its colours, not {self._colours}")
            write_picture(self._file, data)

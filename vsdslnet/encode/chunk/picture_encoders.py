"""A picture a frame: EXR, PNG or TIFF, put into the chunk's file as they will lie in the finished folder."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import vapoursynth as vs
from numpy.typing import NDArray

from vsdslnet.color.h273 import Primaries, Transfer
from vsdslnet.color.pq import nits_of_codes
from vsdslnet.color.references import CHROMATICITIES, D65_XY
from vsdslnet.color.white import AP0_CHROMATICITIES, bt2020_to_ap0_matrix
from vsdslnet.encode.bitstream.icc import bt2020_pq_profile
from vsdslnet.encode.bitstream.packed import append_picture
from vsdslnet.encode.bitstream.png import hdr_chunks, with_chunks
from vsdslnet.encode.chunk.encoder_interface import Picture
from vsdslnet.encode.chunk.light import frame_light_nits
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.errors import JobError, MissingPackageError
from vsdslnet.hdr10 import mastering_display

__all__ = ["PictureEncoder", "picture_tool"]

Codes = NDArray[np.uint16]

_INSTALL = "pip install 'vsdslnet[pictures]'"


def picture_tool(settings: EncodeSettings) -> str:
    """What writes the pictures, with its version. MissingPackageError if it is not installed."""
    if settings.codec == "png":
        return f"png of PyAV {av.__version__}"
    try:
        if settings.codec == "exr":
            import OpenEXR

            return f"OpenEXR {OpenEXR.__version__}"
        import tifffile
    except ImportError as error:
        raise MissingPackageError(f"codec {settings.codec}", error.name or "a package", _INSTALL) from None
    return f"tifffile {tifffile.__version__}"


class PictureEncoder:
    """See :class:`~vsdslnet.encode.chunk.encoder_interface.ChunkEncoder`."""

    def __init__(self, settings: EncodeSettings, *, picture: Picture, path: Path) -> None:
        self._settings, self._picture = settings, picture
        self._file = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._scratch = path.with_name(f"{path.name}.exr.partial")
        self._fed = 0

    def feed(self, frame: vs.VideoFrame) -> None:
        """See :class:`~vsdslnet.encode.chunk.encoder_interface.ChunkEncoder`."""
        codes = np.stack([np.asarray(frame[plane]) for plane in range(3)], axis=-1)
        if self._settings.codec == "exr":
            data = self._exr(codes)
        elif self._settings.codec == "png":
            data = self._png(codes, frame)
        else:
            data = _tiff(codes)
        append_picture(self._file, self._fed, data)
        self._fed += 1

    def close(self) -> None:
        """See :class:`~vsdslnet.encode.chunk.encoder_interface.ChunkEncoder`."""
        self._file.close()

    def abort(self) -> None:
        """See :class:`~vsdslnet.encode.chunk.encoder_interface.ChunkEncoder`."""
        self._file.close()
        self._scratch.unlink(missing_ok=True)

    def _exr(self, codes: Codes) -> bytes:
        """Half float, linear light, over what 1.0 stands for."""
        import OpenEXR

        white_nits = self._settings.exr_white_nits
        light = _light_of_codes()[codes] / np.float32(white_nits)
        chromaticities: tuple[Any, ...] = (*CHROMATICITIES[Primaries.BT2020], D65_XY)
        if self._settings.exr_primaries == "ap0":
            light, chromaticities = light @ bt2020_to_ap0_matrix().T.astype(np.float32), AP0_CHROMATICITIES
        header = {
            "compression": OpenEXR.ZIP_COMPRESSION,
            "type": OpenEXR.scanlineimage,
            "chromaticities": tuple(value for xy in chromaticities for value in xy),
            "whiteLuminance": float(white_nits),
            "pixelAspectRatio": float(self._picture.sample_aspect),
        }
        try:
            with OpenEXR.File(header, {"RGB": np.ascontiguousarray(light.astype(np.float16))}) as file:
                file.write(str(self._scratch))
            return self._scratch.read_bytes()
        except RuntimeError as error:
            raise JobError(f"OpenEXR can't write ({error})") from None
        finally:
            self._scratch.unlink(missing_ok=True)

    def _png(self, codes: Codes, frame: vs.VideoFrame) -> bytes:
        context = av.VideoCodecContext.create("png", "w")
        context.width, context.height, context.pix_fmt = frame.width, frame.height, "rgb48be"
        context.time_base = 1 / self._picture.frame_rate
        context.options = {"compression_level": "6", "pred": "paeth"}
        context.thread_count = 1
        picture = av.VideoFrame.from_ndarray(codes, format="rgb48be")
        picture.pts = 0
        plain = b"".join(bytes(packet) for packet in (*context.encode(picture), *context.encode(None)))
        if self._settings.transfer == "hlg":
            return with_chunks(plain, hdr_chunks(Transfer.HLG, None, None))
        mastering = mastering_display(self._settings.peak_nits)
        return with_chunks(plain, hdr_chunks(Transfer.PQ, mastering, frame_light_nits(frame)))


def _tiff(codes: Codes) -> bytes:
    """Not compressed: a packer's version would otherwise decide the bytes."""
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(
        file, codes, photometric="rgb", metadata=None, software=False, iccprofile=bt2020_pq_profile(), byteorder="<"
    )
    return file.getvalue()


@cache
def _light_of_codes() -> NDArray[np.float32]:
    return nits_of_codes(16).astype(np.float32)

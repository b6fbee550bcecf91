"""Picture files as full-range R'G'B' and what they say of their colours: PNG, TIFF, JPEG, AVIF, HEIF."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from vsdslnet.color.h273 import Matrix, Primaries, Transfer
from vsdslnet.errors import MediaError, MissingPackageError, one_line
from vsdslnet.stills.codes import read_rgb

__all__ = ["Still", "open_still", "profile_primaries"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Still(NamedTuple):
    """``signal`` (H, W, 3) fp32, 0..1, of so many ``bits``; tags that the file lacks are UNSPECIFIED."""

    signal: NDArray[np.float32]
    bits: int
    primaries: Primaries = Primaries.UNSPECIFIED
    transfer: Transfer = Transfer.UNSPECIFIED


def open_still(path: Path) -> Still:
    """A picture upright; MediaError if it can't be read, MissingPackageError where a package for it is missing."""
    suffix = path.suffix.lower()
    if suffix in {".jpg", ".jpeg"}:
        return _jpeg(path)
    if suffix == ".avif":
        return _avif(path)
    if suffix in {".heic", ".heif", ".hif"}:
        return _heif(path)
    codes = read_rgb(path)
    if codes.dtype not in (np.uint8, np.uint16):
        raise MediaError(f"{path.name} holds {codes.dtype} numbers: 8 or 16 bits are read, linear light as OpenEXR")
    signal = (codes / np.iinfo(codes.dtype).max).astype(np.float32)
    tags = _png_tags(path) if suffix == ".png" else None
    return Still(signal, 8 * codes.dtype.itemsize, *(tags or _profile_tags(_profile_of(path))))


def profile_primaries(profile: bytes | None) -> Primaries:
    """The primaries that an ICC profile names in its description; BT.709's if there is none, or another."""
    return _profile_tags(profile)[0] if profile else Primaries.BT709


def _profile_tags(profile: bytes | None) -> tuple[Primaries, Transfer]:
    """What an ICC profile's description says, if there is one."""
    if not profile:
        return Primaries.UNSPECIFIED, Transfer.UNSPECIFIED
    name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    wide = Primaries.BT2020 if "2020" in name or "2100" in name else Primaries.BT709
    transfer = Transfer.PQ if "PQ" in name else Transfer.HLG if "HLG" in name else Transfer.UNSPECIFIED
    return Primaries.ST432_1 if "P3" in name else wide, transfer


def _profile_of(path: Path) -> bytes | None:
    """A PNG's or a TIFF's ICC profile; none where Pillow does not know the picture's layout."""
    try:
        with Image.open(path) as picture:
            profile: bytes | None = picture.info.get("icc_profile")
            return profile
    except (OSError, ValueError, SyntaxError):
        return None


def _png_tags(path: Path) -> tuple[Primaries, Transfer] | None:
    """What cICP says (PNG 3rd ed., 11.3.2.6), if there is one."""
    data = path.read_bytes()
    at = len(_PNG_SIGNATURE)
    while data.startswith(_PNG_SIGNATURE) and at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"cICP" and length == 4:
            primaries, transfer, _, full_range = data[at + 8 : at + 12]
            if not full_range:
                raise MediaError(f"{path.name} says in its cICP that it is narrow range: convert it to full range")
            return _tags(path, primaries, transfer)
        if name == b"IDAT":
            break
        at += 12 + length
    return None


def _tags(path: Path, primaries: int, transfer: int) -> tuple[Primaries, Transfer]:
    try:
        return Primaries(primaries), Transfer(transfer)
    except ValueError:
        raise MediaError(f"{path.name} says colours that no standard has: {primaries}/{transfer}") from None


def _jpeg(path: Path) -> Still:
    try:
        with Image.open(path) as picture:
            primaries = profile_primaries(picture.info.get("icc_profile"))
            codes = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except (OSError, ValueError, SyntaxError, ImageCms.PyCMSError) as error:
        raise MediaError(f"{path.name}: can't be read as JPEG ({one_line(error)})") from None
    return Still((codes / 255).astype(np.float32), 8, primaries)


def _avif(path: Path) -> Still:
    """Through FFmpeg and zimg, as films are: Pillow reads 8 bits of it."""
    import vapoursynth as vs

    try:
        clip: Any = vs.core.bs.VideoSource(str(path), cachemode=0, showprogress=0)
        with clip.get_frame(0) as first:
            tags = [int(first.props.get(name, 2)) for name in ("_Matrix", "_Primaries", "_Transfer")]
        guess = {"matrix_in": int(Matrix.BT2020_NCL)} if tags[0] == Matrix.UNSPECIFIED else {}
        rgb = clip.resize.Bicubic(format=vs.RGBS, range_s="full", **guess)
        with rgb.get_frame(0) as frame:
            signal = np.stack([np.asarray(frame[plane]) for plane in range(3)], axis=-1)
    except vs.Error as error:
        raise MediaError(f"{path.name}: can't be read as AVIF ({one_line(error)})") from None
    return Still(signal.clip(0, 1).astype(np.float32), clip.format.bits_per_sample, *_tags(path, tags[1], tags[2]))


def _heif(path: Path) -> Still:
    """Through libheif: pictures of phones lie in tiles, of which FFmpeg's streams are single ones."""
    try:
        import pillow_heif
    except ImportError:
        raise MissingPackageError("HEIC", "pillow-heif", "pip install 'vsdslnet[train]'") from None
    try:
        picture = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
        codes = np.asarray(picture)[..., :3]
    except (OSError, ValueError, RuntimeError, SyntaxError) as error:
        raise MediaError(f"{path.name}: can't be read as HEIF ({one_line(error)})") from None
    bits = int(picture.info.get("bit_depth", 8))
    # Codes of more than 8 bits stand in the upper bits of 16.
    codes = codes >> (16 - bits) if codes.dtype == np.uint16 else codes
    signal = (codes / (2**bits - 1)).astype(np.float32)
    said = picture.info.get("nclx_profile") or {}
    profile = picture.info.get("icc_profile")
    tags = _tags(path, said.get("color_primaries", 2), said.get("transfer_characteristics", 2))
    return Still(signal, bits, *(_profile_tags(profile) if profile and Primaries.UNSPECIFIED in tags else tags))

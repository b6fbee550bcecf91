"""Pictures that other programs wrote are read as they say they are."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torch import Tensor

from vsdslnet.color.h273 import Primaries
from vsdslnet.color.primaries import convert
from vsdslnet.color.transfer import hlg_to_nits, nits_to_pq, pq_to_nits
from vsdslnet.errors import MediaError, MissingPackageError
from vsdslnet.stills.pictures import read_hdr, read_sdr

PQ_2020, PQ_P3, HLG_2020 = (9, 16), (12, 16), (9, 18)


def light() -> Tensor:
    """PQ (3, 64, 96): soft colours from black to 1000 cd/m²."""
    random = np.random.default_rng(3).uniform(0, 0.75, (4, 6, 3)).astype(np.float32)
    soft = cv2.resize(random, (96, 64), interpolation=cv2.INTER_CUBIC).clip(0, 0.75)
    return torch.from_numpy(np.ascontiguousarray(soft)).movedim(-1, 0)


def codes16(signal: Tensor) -> NDArray[np.uint16]:
    return np.rint(65535 * signal.movedim(0, -1).numpy()).astype(np.uint16)


def with_cicp(path: Path, primaries: int, transfer: int, full: int = 1) -> None:
    """The chunk behind the header, as the PNG specification has it."""
    data = path.read_bytes()
    body = b"cICP" + bytes([primaries, transfer, 0, full])
    path.write_bytes(data[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + data[33:])


def png(path: Path, signal: Tensor, *tags: int) -> Path:
    cv2.imwrite(str(path), codes16(signal)[..., ::-1])
    if tags:
        with_cicp(path, *tags)
    return path


def avif(path: Path, signal: Tensor, primaries: int, transfer: int) -> Path:
    """By SVT-AV1 and libavformat, near lossless: 10 bits, full range, 4:2:0."""
    import vapoursynth as vs

    blank = vs.core.std.BlankClip(format=vs.RGBS, width=96, height=64, length=1)

    def fill(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        out = f.copy()
        for plane in range(3):
            np.asarray(out[plane])[:] = signal[plane].numpy()
        return out

    filled = vs.core.std.ModifyFrame(blank, blank, fill)
    yuv = filled.resize.Bicubic(format=vs.YUV420P10, matrix_s="2020ncl", range_s="full").get_frame(0)
    frame = av.VideoFrame(96, 64, "yuv420p10le")
    for plane, values in zip(frame.planes, yuv, strict=True):
        rows = np.frombuffer(plane, np.uint16).reshape(plane.height, -1)
        rows[:, : plane.width] = np.asarray(values)
    with av.open(str(path), "w", format="avif") as file:
        stream = file.add_stream("libsvtav1", rate=Fraction(1), options={"crf": "1", "preset": "8"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = primaries, transfer, 9, 2
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def near(ours: Tensor, wanted: Tensor, codes_of_10_bits: float) -> None:
    assert ours.shape == wanted.shape
    assert float((ours - wanted).abs().max()) * 1023 < codes_of_10_bits


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pq_of_16_bits_is_taken_as_it_is(tmp_path: Path, suffix: str) -> None:
    near(read_hdr(png(tmp_path / f"a{suffix}", light())), light(), 0.02)
    if suffix == ".png":
        near(read_hdr(png(tmp_path / "b.png", light(), *PQ_2020)), light(), 0.02)


def test_cicp_says_other_colours(tmp_path: Path) -> None:
    p3 = nits_to_pq(convert(pq_to_nits(light()), Primaries.ST432_1, Primaries.BT2020))
    near(read_hdr(png(tmp_path / "p3.png", light(), *PQ_P3)), p3, 0.1)
    near(read_hdr(png(tmp_path / "hlg.png", light(), *HLG_2020)), nits_to_pq(hlg_to_nits(light())), 0.1)
    with pytest.raises(MediaError, match="says that it is SDR"):
        read_hdr(png(tmp_path / "srgb.png", light(), 1, 13))
    with pytest.raises(MediaError, match="says transfer 8"):
        read_hdr(png(tmp_path / "linear.png", light(), 9, 8))
    with pytest.raises(MediaError, match="narrow range"):
        read_hdr(png(tmp_path / "narrow.png", light(), 9, 16, 0))
    with pytest.raises(MediaError, match="no standard"):
        read_hdr(png(tmp_path / "odd.png", light(), 250, 16))
    with pytest.raises(MediaError, match="name it on the HDR side"):
        read_sdr(tmp_path / "p3.png")


@pytest.mark.parametrize(("primaries", "transfer"), [PQ_2020, PQ_P3, HLG_2020])
def test_avif_is_read_as_its_tags_say(tmp_path: Path, primaries: int, transfer: int) -> None:
    path = avif(tmp_path / "a.avif", light(), primaries, transfer)
    ours, wanted = read_hdr(path), read_hdr(png(tmp_path / "a.png", light(), primaries, transfer))
    assert ours.shape == wanted.shape
    assert float((ours - wanted).abs().mean()) * 1023 < 5


def test_avif_by_libavif(tmp_path: Path) -> None:
    if not shutil.which("avifenc"):
        pytest.skip("no avifenc here")
    source, path = png(tmp_path / "a.png", light()), tmp_path / "a.avif"
    encode = ["avifenc", "-d", "10", "-y", "444", "--min", "0", "--max", "0", "--cicp", "9/16/9"]
    subprocess.run([*encode, str(source), str(path)], check=True, capture_output=True)
    near(read_hdr(path), light(), 4)
    subprocess.run([*encode, "--irot", "1", str(source), str(path)], check=True, capture_output=True)
    near(read_hdr(path), light().rot90(1, (1, 2)), 4)


def heic(path: Path, codes: NDArray[np.uint16], **nclx: int) -> Path:
    pillow_heif = pytest.importorskip("pillow_heif")
    height, width = codes.shape[:2]
    picture = pillow_heif.from_bytes("RGB;16", (width, height), codes.tobytes())
    picture.save(str(path), quality=-1, chroma=444, matrix_coefficients=9, full_range_flag=1, **nclx)
    return path


def test_heic_is_read_as_its_tags_say(tmp_path: Path) -> None:
    for primaries, transfer in (PQ_2020, PQ_P3, HLG_2020):
        path = heic(tmp_path / "a.heic", codes16(light()), color_primaries=primaries, transfer_characteristics=transfer)
        ours, wanted = read_hdr(path), read_hdr(png(tmp_path / "a.png", light(), primaries, transfer))
        assert ours.shape == wanted.shape
        assert float((ours - wanted).abs().mean()) * 1023 < 2


def test_heic_by_heif_enc(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    if not shutil.which("heif-enc"):
        pytest.skip("no heif-enc here")
    source, path = png(tmp_path / "a.png", light()), tmp_path / "a.heic"
    encode = ["heif-enc", "-b", "10", "-L", "-p", "chroma=444", "--matrix_coefficients=9", "--colour_primaries=9"]
    subprocess.run([*encode, "--transfer_characteristic=16", str(source), "-o", str(path)], check=True)
    near(read_hdr(path), light(), 4)


def test_heic_without_its_package_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"")
    with pytest.raises(MissingPackageError, match=r"pillow-heif.*pip install 'vsdslnet\[train\]'"):
        read_hdr(tmp_path / "a.heic")


def test_openexr_keeps_colours_outside_bt709(tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    linear = (pq_to_nits(light()) / 203).movedim(0, -1).contiguous().numpy()
    chromaticities = (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329)
    OpenEXR.File({"chromaticities": chromaticities}, {"RGB": linear}).write(str(path))
    near(read_hdr(path), light(), 0.1)
    OpenEXR.File({}, {"RGB": linear}).write(str(path))
    near(read_hdr(path), nits_to_pq(convert(pq_to_nits(light()), Primaries.BT709, Primaries.BT2020)), 0.1)


def test_sdr_is_that_of_bt709(tmp_path: Path) -> None:
    picture = Image.fromarray((codes16(light()) >> 8).astype(np.uint8))
    wanted = torch.from_numpy(np.asarray(picture) / 255).movedim(-1, 0).float()
    for name in ("a.png", "a.tif"):
        picture.save(tmp_path / name)
        near(read_sdr(tmp_path / name), wanted, 0.01)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    near(read_sdr(tmp_path / "a.jpg"), wanted.rot90(-1, (1, 2)), 16)
    p3 = png(tmp_path / "p3.png", wanted, 12, 13)
    assert float((read_sdr(p3) - wanted).abs().max()) > 0.02, "converted"
    grey = torch.full((3, 8, 8), 0.4)
    near(read_sdr(png(tmp_path / "grey.png", grey, 12, 13)), grey, 0.5)


@pytest.mark.parametrize("side", [read_sdr, read_hdr])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.avif", "a.heic", "a.exr", "a.hdr"])
def test_files_that_are_none_are_told_in_a_line(tmp_path: Path, side: Callable[[Path], Tensor], name: str) -> None:
    if name == "a.heic":
        pytest.importorskip("pillow_heif")
    path = tmp_path / name
    for data in (b"", b"no picture at all" * 40):
        path.write_bytes(data)
        with pytest.raises(MediaError, match=name) as caught:
            side(path)
        assert "\n" not in str(caught.value)


def test_8_bits_are_no_hdr(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(MediaError, match="8 bits"):
        read_hdr(tmp_path / "a.png")


def test_a_profile_tells_p3(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 40, 40)).save(buffer, "png", icc_profile=profile)
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    assert read_sdr(tmp_path / "a.png")[:, 0, 0].tolist() == pytest.approx([200 / 255, 40 / 255, 40 / 255], abs=1e-6)

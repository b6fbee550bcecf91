"""What editors and compositors get: ProRes and DNxHR, EXR, PNG and TIFF, read by programs that are not ours."""

from __future__ import annotations

import io
import struct
import subprocess
from pathlib import Path
from typing import Any

import av
import colour
import imageio_ffmpeg
import numpy as np
import OpenImageIO as oiio
import pytest
from PIL import Image, ImageCms
from pymediainfo import MediaInfo

from plugin_tests.encode.media import InProcessExecutor, make_clip, packets, picture, video_times
from vsdslnet.encode.bitstream.icc import bt2020_pq_profile
from vsdslnet.encode.bitstream.intra import prores_colours
from vsdslnet.encode.bitstream.png import chunks
from vsdslnet.encode.run import Finished, encode_file
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.source.clip import deliver, open_converted
from vsdslnet.encode.source.probe import probe

WIDTH, HEIGHT, FRAMES = 258, 120, 10
# Plain conversion: what is tested here is not the network.
PLAIN: dict[str, Any] = {"strength": 0.0, "chunk_frames": 8, "peak_nits": 800.0}
MOVIES = {
    "hq.mov": {"codec": "prores"},
    "hq.mkv": {"codec": "prores"},
    "4444.mov": {"codec": "prores", "profile": "4444"},
    "hqx.mov": {"codec": "dnxhr"},
    "hlg.mov": {"codec": "prores", "transfer": "hlg"},
}
PICTURES = {
    "exr/%06d.exr": {"codec": "exr"},
    "ap0/%06d.exr": {"codec": "exr", "exr_primaries": "ap0", "exr_white_nits": 100.0},
    "png/%06d.png": {"codec": "png"},
    "hlg/%06d.png": {"codec": "png", "transfer": "hlg"},
    "tiff/%06d.tif": {"codec": "tiff"},
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As large as DNxHR wants it."""
    return make_clip(tmp_path_factory.mktemp("source") / "in.mkv", width=WIDTH, height=HEIGHT, frames=FRAMES)


@pytest.fixture(scope="module")
def folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mezzanines")


@pytest.fixture(scope="module")
def made(source: Path, folder: Path) -> dict[str, Finished]:
    """Everything, by its name."""
    return {
        name: encode_file(source, folder / name, EncodeSettings(**(PLAIN | options)), executor=InProcessExecutor())
        for name, options in (MOVIES | PICTURES).items()
    }


def delivered(source: Path, options: dict[str, Any], pixels: str) -> list[np.ndarray[Any, Any]]:
    """The planes of the third frame as the encoder gets it."""
    settings = EncodeSettings(**(PLAIN | options))
    clip = open_converted(probe(source), settings, index=None)
    clip = deliver(clip, peak_nits=settings.peak_nits, transfer=settings.transfer, pixels=pixels)
    with clip.get_frame(2) as frame:
        return [np.asarray(frame[plane]).copy() for plane in range(3)]


@pytest.mark.parametrize("name", list(MOVIES))
def test_both_readers_find_the_colours_and_the_light(made: dict[str, Finished], folder: Path, name: str) -> None:
    is_hlg, light = name.startswith("hlg"), made[name].light
    tags = (9, 18 if is_hlg else 16, 9, 1)
    fourcc, kind, chroma = {
        "4444": ("ap4h", "4444", "4:4:4"),
        "hqx": ("AVdh", "RI@HQX", "4:2:2"),
    }.get(Path(name).stem, ("apch", "422 HQ", "4:2:2"))
    with av.open(str(folder / name)) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == tags
        assert context.codec_tag == fourcc
        told = context.coded_side_data.get("content_light_level")
        assert (told is None) == is_hlg
        if told is not None:
            assert struct.unpack("=2I", bytes(told)[:8]) == (light.max_cll_nits, light.max_fall_nits)
        frames = list(container.decode(video=0))
    assert len(frames) == FRAMES
    for frame in frames:
        assert (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range) == tags
        assert not frame.interlaced_frame
    (video,) = MediaInfo.parse(folder / name).video_tracks
    assert (video.color_primaries, video.transfer_characteristics) == ("BT.2020", "HLG" if is_hlg else "PQ")
    assert video.matrix_coefficients == "BT.2020 non-constant"
    if name.endswith(".mov"):  # which has no place for the range in ``nclc``: limited is what it means
        assert (video.format_profile, video.chroma_subsampling, video.scan_type) == (kind, chroma, "Progressive")
        assert video.color_range is None
    else:
        assert video.color_range == "Limited"
    if is_hlg:
        assert video.mastering_display_luminance is None
    else:
        assert video.mastering_display_luminance == "min: 0.0001 cd/m2, max: 800 cd/m2"
        assert str(video.maximum_content_light_level).split()[0] == str(light.max_cll_nits)
        assert str(video.maximum_frameaverage_light_level).split()[0] == str(light.max_fall_nits)


def test_headers_say_it_too(made: dict[str, Finished], folder: Path) -> None:
    assert {prores_colours(data) for _, data in packets(folder / "hq.mov", "video")} == {(9, 16, 9)}
    assert {prores_colours(data) for _, data in packets(folder / "hlg.mov", "video")} == {(9, 18, 9)}
    assert {data[0x2C] >> 1 & 3 for _, data in packets(folder / "hqx.mov", "video")} == {1}
    moov = (folder / "hq.mov").read_bytes()
    assert b"fiel\x01\x00" in moov, "progressive"
    assert b"colrnclc\x00\x09\x00\x10\x00\x09" in moov


@pytest.mark.parametrize(
    ("name", "pixels", "format"),
    [
        ("hq.mov", "YUV422P10", "yuv422p10le"),
        ("4444.mov", "YUV444P10", "yuv444p10le"),
        ("hqx.mov", "YUV422P10", "yuv422p10le"),
    ],
)
def test_another_ffmpeg_decodes_the_frames_that_went_in(
    made: dict[str, Finished], folder: Path, source: Path, name: str, pixels: str, format: str
) -> None:
    """Of a version of its own, told to change no range: limited went in, limited comes out."""
    wanted = delivered(source, MOVIES[name], pixels)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(folder / name)]
    raw = subprocess.run(
        [*command, "-map", "0:v", "-f", "rawvideo", "-pix_fmt", format, "-"], capture_output=True, check=True
    ).stdout
    samples = np.frombuffer(raw, np.uint16)[2 * sum(plane.size for plane in wanted) :]
    for plane in wanted:
        found, samples = samples[: plane.size].reshape(plane.shape), samples[plane.size :]
        assert np.abs(found.astype(float) - plane).mean() < 4, "of 1023, with loss"
    assert wanted[0].min() >= 64
    assert wanted[0].max() <= 940


def test_sound_and_times_pass_through(made: dict[str, Finished], folder: Path, source: Path) -> None:
    for name in ("hq.mov", "hq.mkv", "hqx.mov"):
        assert video_times(folder / name) == pytest.approx(video_times(source), abs=0.001)
        assert [data for _, data in packets(folder / name, "audio")] == [data for _, data in packets(source, "audio")]
        assert made[name].dropped == []


@pytest.mark.parametrize("name", ["exr/%06d.exr", "ap0/%06d.exr"])
def test_exr_is_the_light_that_colour_science_makes_of_pq(
    made: dict[str, Finished], folder: Path, source: Path, name: str
) -> None:
    codes = np.stack(delivered(source, PICTURES[name], "RGB48"), -1)
    nits = colour.models.eotf_ST2084(codes / 65535)
    image = oiio.ImageInput.open(str(folder / (name % 3)))
    told = {attribute.name: attribute.value for attribute in image.spec().extra_attribs}
    assert str(image.spec().format) == "half"
    assert image.spec().channelnames == ("R", "G", "B")
    if name.startswith("exr"):
        wanted, space, white = nits / 203, colour.RGB_COLOURSPACES["ITU-R BT.2020"], 203
    else:
        space, white = colour.RGB_COLOURSPACES["ACES2065-1"], 100
        bt2020 = colour.RGB_COLOURSPACES["ITU-R BT.2020"]
        wanted = colour.RGB_to_RGB(nits / 100, bt2020, space, chromatic_adaptation_transform="Bradford")
    assert told["whiteLuminance"] == white
    xy = (*space.primaries.ravel(), *space.whitepoint)
    assert told["chromaticities"] == pytest.approx(xy, abs=2e-5)
    found = np.asarray(image.read_image("float"))
    # A half has 11 bits; AP0's smallest channel comes out of larger ones, single precision each.
    assert np.abs(found - wanted).max(axis=-1) == pytest.approx(0, abs=wanted.max() * 2**-11)
    assert np.all(np.abs(found - wanted) <= np.abs(wanted) * 2**-11 * 1.05 + 1e-5)


@pytest.mark.parametrize("name", ["png/%06d.png", "hlg/%06d.png", "tiff/%06d.tif"])
def test_16_bit_pictures_are_the_frames_exactly(
    made: dict[str, Finished], folder: Path, source: Path, name: str
) -> None:
    codes = np.stack(delivered(source, PICTURES[name], "RGB48"), -1)
    image = oiio.ImageInput.open(str(folder / (name % 3)))
    assert np.array_equal(np.asarray(image.read_image("uint16")), codes)


def test_png_says_hdr_to_three_readers(made: dict[str, Finished], folder: Path, source: Path) -> None:
    path = folder / "png/000003.png"
    codes = np.stack(delivered(source, PICTURES["png/%06d.png"], "RGB48"), -1)
    brightest = colour.models.eotf_ST2084(codes.max(-1) / 65535)
    told = dict(chunks(path.read_bytes()))
    assert list(told)[:4] == [b"IHDR", b"cICP", b"mDCV", b"cLLI"]
    assert told[b"cICP"] == bytes([9, 16, 0, 1])
    primaries = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450)  # red, green, blue, white (PNG 11.3.2.7)
    assert struct.unpack(">8H2I", told[b"mDCV"]) == (*primaries, 8_000_000, 1)
    light = struct.unpack(">2I", told[b"cLLI"])
    assert light == (
        pytest.approx(brightest.max() * 10_000, rel=1e-4),
        pytest.approx(brightest.mean() * 10_000, rel=1e-4),
    )
    read = {attribute.name: attribute.value for attribute in oiio.ImageInput.open(str(path)).spec().extra_attribs}
    assert tuple(read["CICP"]) == (9, 16, 0, 1)
    names = [f"mdcv_{colour}_{axis}" for colour in ("red", "green", "blue", "white") for axis in "xy"]
    assert tuple(read[name] for name in names) == primaries
    (image,) = MediaInfo.parse(path).image_tracks
    assert (image.color_primaries, image.transfer_characteristics, image.color_range) == ("BT.2020", "PQ", "Full")
    assert image.mastering_display_color_primaries == "Display P3"
    assert image.mastering_display_luminance == "min: 0.0001 cd/m2, max: 800 cd/m2"
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert (frame.color_primaries, frame.color_trc, frame.color_range) == (9, 16, 2)
        read_light = np.frombuffer(bytes(frame.side_data["CONTENT_LIGHT_LEVEL"]), np.uint32)
        assert tuple(read_light) == (light[0] // 10_000, light[1] // 10_000)


def test_hlg_png_says_no_light(made: dict[str, Finished], folder: Path) -> None:
    told = dict(chunks((folder / "hlg/000003.png").read_bytes()))
    assert told[b"cICP"] == bytes([9, 18, 0, 1])
    assert not {b"mDCV", b"cLLI"} & set(told)


def test_tiff_says_its_colours_in_a_profile(made: dict[str, Finished], folder: Path) -> None:
    with Image.open(folder / "tiff/000003.tif") as image:
        assert image.info["icc_profile"] == bt2020_pq_profile()
    (track,) = MediaInfo.parse(folder / "tiff/000003.tif").image_tracks
    assert (track.color_primaries, track.transfer_characteristics) == ("BT.2020", "PQ")
    profile = ImageCms.ImageCmsProfile(io.BytesIO(bt2020_pq_profile()))
    read = profile.profile
    bt2020 = colour.RGB_COLOURSPACES["ITU-R BT.2020"]
    whites = [colour.xy_to_XYZ(bt2020.whitepoint), np.array([0.9642, 1.0, 0.8249])]
    adapted = colour.adaptation.matrix_chromatic_adaptation_VonKries(*whites, transform="Bradford")
    for number, colorant in enumerate((read.red_colorant, read.green_colorant, read.blue_colorant)):
        assert colorant[0] == pytest.approx((adapted @ bt2020.matrix_RGB_to_XYZ)[:, number], abs=1e-4)
    # LittleCMS reads the curve: PQ grey of 203 nits, whose white is 10,000, has the lightness of 2 %.
    signal = round(float(colour.models.eotf_inverse_ST2084(2000.0)) * 255)
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (1, 1), (signal,) * 3), profile, ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    wanted = colour.XYZ_to_Lab(
        colour.models.eotf_ST2084(signal / 255) / 10_000 * whites[1], colour.XYZ_to_xy(whites[1])
    )
    assert np.asarray(lab)[0, 0, 0] / 2.55 == pytest.approx(wanted[0], abs=0.5)


def test_the_work_is_cut_without_a_trace(source: Path, folder: Path, made: dict[str, Finished], tmp_path: Path) -> None:
    """Other chunks, the same pictures."""
    for name in ("png/%06d.png", "hq.mov"):
        settings = EncodeSettings(**(PLAIN | (MOVIES | PICTURES)[name] | {"chunk_frames": 120}))
        encode_file(source, tmp_path / name.replace("/", "-"), settings, executor=InProcessExecutor())
    assert [data for _, data in packets(tmp_path / "hq.mov", "video")] == [
        data for _, data in packets(folder / "hq.mov", "video")
    ]
    for number in range(1, FRAMES + 1):
        name = f"png/{number:06d}.png"
        assert (tmp_path / name.replace("/", "-")).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "size"), [("png/%06d.png", (97, 65)), ("4444.mov", (97, 65)), ("hq.mov", (98, 65)), ("hq.mkv", (98, 65))]
)
def test_odd_sizes_stay_where_chroma_lets_them(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    source = tmp_path / "odd.mkv"
    with av.open(str(source), "w") as container:
        video = container.add_stream("ffv1", rate=24)
        video.width, video.height, video.pix_fmt = 97, 65, "yuv444p"
        for number in range(3):
            image = picture(number, width=97, height=65)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv444p")))
        container.mux(video.encode(None))
    output = tmp_path / "out" / name
    output.parent.mkdir(parents=True)
    encode_file(source, output, EncodeSettings(**(PLAIN | (MOVIES | PICTURES)[name])), executor=InProcessExecutor())
    with av.open(str(output).replace("%06d", "000001")) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == size

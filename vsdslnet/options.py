"""Every option of ``core.dslnet.Convert``, of the command and of the library, each said once.

An option is a field of one of the classes below: the field has its type and its default, ``option`` adds what it
means, its unit and its bounds. All else follows (:mod:`vsdslnet.option_specs`): the checks when an object is made, the
shim's signature, the command line, and README's table (``scripts/write_options.py`` writes what has to lie in files).
To add an option, add its field and run that script. Imports neither torch nor VapourSynth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from vsdslnet.errors import ArgumentError
from vsdslnet.option_specs import Options, another_default, option

__all__ = [
    "FAST_MODEL",
    "FULL_MODEL",
    "BackendOptions",
    "ClipOptions",
    "ColorOptions",
    "ConvertOptions",
    "EncoderOptions",
    "JobOptions",
    "LinearPrimaries",
    "LookOptions",
    "ModelOptions",
    "OutputOptions",
    "PictureOptions",
    "SceneOptions",
    "SourceOptions",
    "TransferOptions",
]

FULL_MODEL, FAST_MODEL = "dslnet", "dslnet-fast"
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Backend = Literal["auto", "torch"]
OutputTransfer = Literal["pq", "hlg"]
Dither = Literal["none", "ordered", "random", "error_diffusion"]
Deinterlace = Literal["frame", "field"]
FieldOrder = Literal["auto", "tff", "bff"]
CutsFrom = Literal["props", "detect", "none"]
Codec = Literal["hevc", "av1", "prores", "dnxhr", "exr", "png", "tiff"]
Profile = Literal["hq", "4444"]
LinearPrimaries = Literal["bt2020", "ap0"]
EncoderChoice = Literal["auto", "x265", "av"]
Preset = Literal["draft", "balanced", "archive"]


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Options):
    """Which network."""

    GROUP: ClassVar[str] = "Look"

    model: str = option(
        FULL_MODEL,
        "Name of an installed model, or the path of a .safetensors file. With -lut behind it, as in dslnet-lut, only "
        "its colours are used, as 3D LUTs learnt at key frames: a rougher picture, many times as fast.",
        cure="give a model's name or the path of a .safetensors file",
    )


@dataclass(frozen=True, kw_only=True)
class LookOptions(Options):
    """What is done with the network's picture before it leaves."""

    GROUP: ClassVar[str] = "Look"

    peak_nits: float = option(
        1000.0,
        "Brightest highlight, above white; diffuse white and what is darker do not move.",
        name="peak",
        unit="nits",
        low=100,
        high=10_000,
    )
    white_nits: float = option(
        203.0,
        "Light of diffuse white. What is darker gets brighter or darker with it, highlights still end at the peak. "
        "Film grades have it near 100.",
        name="white",
        unit="nits",
        low=50,
        high=600,
    )
    look: str | None = option(
        None,
        "Which grade made the picture: the name of an installed look, or a .safetensors file made by vsdslnet fit.",
        otherwise="the middle of real pairs' grades",
        cure="give a look's name or a file made by vsdslnet fit",
    )
    strength: float = option(
        1.0, "0 is plain colour conversion with SDR white at diffuse white, 1 is the network.", low=0, high=1
    )
    saturation: float = option(1.0, "Factor on chroma, in ICtCp.", low=0, high=4)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.peak_nits <= self.white_nits:
            cure = "highlights need room above diffuse white: raise peak, or lower white"
            raise ArgumentError("peak", self.peak_nits, f"a number above white={self.white_nits:g} nits", cure)

    @property
    def is_plain(self) -> bool:
        """Whether it is plain conversion, in which nothing of the network's picture is left."""
        return self.strength == 0 and self.saturation == 1


@dataclass(frozen=True, kw_only=True)
class TransferOptions(Options):
    """Which of BT.2100's two signals the picture leaves as."""

    GROUP: ClassVar[str] = "Output"

    transfer: OutputTransfer = option(
        "pq",
        "Signal of the output: pq is HDR10's, hlg is BT.2100's HLG as a display of the peak's light shows it.",
    )


@dataclass(frozen=True, kw_only=True)
class OutputOptions(TransferOptions):
    """The form in which Convert gives its frames."""

    GROUP: ClassVar[str] = "Output"

    format: int | None = option(
        None,
        "Output format, YUV, RGB or Gray of 10 bits or more. YUV and Gray are limited range with BT.2020's "
        "non-constant luminance matrix, RGB is full range.",
        otherwise="16 bits with the input's subsampling, RGB48 for RGB, YUV444P16 for Gray",
    )
    dither_type: Dither | None = option(
        None,
        "Dithering when bits are taken away, as in core.resize.",
        otherwise="error_diffusion (LUTs: ordered) below 16 bits, else none",
    )
    num_streams: int = option(
        1,
        "Frames computed at the same time; they share the processor's cores. LUTs use as many as the core has threads.",
        unit="frames",
        low=1,
        high=64,
    )


_BELIEVED = "what the source says or, where it says nothing, what players guess from its size"


@dataclass(frozen=True, kw_only=True)
class ColorOptions(Options):
    """What the user knows better about the source's colours than its tags; None believes the tags."""

    GROUP: ClassVar[str] = "Source colour"

    matrix_in: int | None = option(None, "H.273 code of the source's matrix.", otherwise=_BELIEVED)
    transfer_in: int | None = option(None, "H.273 code of the source's transfer.", otherwise=_BELIEVED)
    primaries_in: int | None = option(None, "H.273 code of the source's primaries.", otherwise=_BELIEVED)
    range_in: int | None = option(None, "Range of the source: 1 full, 0 limited.", otherwise=_BELIEVED)
    chromaloc_in: int | None = option(None, "H.273 code of where the source's chroma sits.", otherwise=_BELIEVED)


_CROP = re.compile(r"\d+:\d+:\d+:\d+")


@dataclass(frozen=True, kw_only=True)
class SourceOptions(Options):
    """What is done with a file's picture before it is converted, for those who write no script."""

    GROUP: ClassVar[str] = "Source picture"

    crop: str | None = option(
        None,
        "The part of the picture to convert: W:H:X:Y in pixels, as ffmpeg's crop filter has it, or auto, which looks "
        "for black bars in frames all over the film.",
        otherwise="all of it",
    )
    deinterlace: Deinterlace | None = option(
        None,
        "Make whole pictures of fields, with bwdif: one of each frame, or one of each field, which moves as smoothly "
        "as the original and takes twice as long. Frames that are marked as progressive stay as they are.",
        otherwise="interlaced files are refused",
    )
    field_order: FieldOrder = option(
        "auto",
        "Which field of a frame is first: auto believes the frames' own marks, tff (top) and bff (bottom) take all "
        "frames for interlaced so.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop is not None and self.crop != "auto" and not _CROP.fullmatch(self.crop):
            raise ArgumentError("crop", self.crop, "auto or W:H:X:Y in pixels", "ffmpeg's cropdetect prints it so")
        if self.field_order != "auto" and self.deinterlace is None:
            raise ArgumentError("field_order", self.field_order, "only with --deinterlace", "add it, or leave this out")


@dataclass(frozen=True, kw_only=True)
class SceneOptions(Options):
    """Where the window of frames that the network sees ends."""

    GROUP: ClassVar[str] = "Source colour"

    scene_cuts: CutsFrom = option(
        "props",
        "Which scene cuts end the network's window of frames: props believes _SceneChangePrev and _SceneChangeNext, "
        "detect finds cuts, none ignores all.",
    )


@dataclass(frozen=True, kw_only=True)
class BackendOptions(ModelOptions):
    """Which network runs where and how; equal options share one backend."""

    GROUP: ClassVar[str] = "Running"

    device: Device = option("auto", "Where the network runs; auto is cuda where there is one.")
    device_index: int = option(0, "Which of several CUDA devices, counted from 0.", low=0, high=63)
    precision: Precision = option(
        "auto", "Number format of the network; auto is the fastest in which the model was judged good."
    )
    backend: Backend = option("auto", "What computes the network; auto is torch.")
    tile: tuple[int, int] | None = option(
        None, "Width and height of tiles.", unit="pixels", low=64, otherwise="chosen by the memory available"
    )


@dataclass(frozen=True, kw_only=True)
class PictureOptions(SourceOptions, ColorOptions, LookOptions, ModelOptions):
    """What decides the picture: how the source is read, the network and the look. The model is encode's."""

    model: str = another_default(ModelOptions, "model", FAST_MODEL)


@dataclass(frozen=True, kw_only=True)
class ConvertOptions(BackendOptions, LookOptions, ModelOptions):
    """What turns SDR frames into HDR frames: a network and a look.

    >>> ConvertOptions(peak_nits=600).precision
    'auto'
    >>> ConvertOptions(peak_nits=20)
    Traceback (most recent call last):
    vsdslnet.errors.ArgumentError: peak=20 is not allowed: a number from 100 to 10000 nits
    """


@dataclass(frozen=True, kw_only=True)
class ClipOptions(BackendOptions, SceneOptions, ColorOptions, OutputOptions, LookOptions, ModelOptions):
    """Everything ``core.dslnet.Convert`` takes beside the clip."""


@dataclass(frozen=True, kw_only=True)
class EncoderOptions(Options):
    """What the encoder of the finished file is told."""

    GROUP: ClassVar[str] = "Encoder"

    codec: Codec = option(
        "hevc",
        "Codec of the video: hevc, which HDR10 was made for, or av1, by SVT-AV1. For editing: prores and dnxhr (HQX) "
        "in .mov; exr (half float, linear light), png and tiff (16 bits, PQ) as a picture a frame, named by OUTPUT "
        "with %06d or ###### in it.",
    )
    profile: Profile = option("hq", "Kind of ProRes: hq is 422 HQ, 4444 is 4:4:4; 10 bits both.")
    encoder: EncoderChoice = option(
        "auto", "What encodes: x265 is the program, av the encoder inside PyAV; auto takes x265 if it is on the PATH."
    )
    preset: Preset = option(
        "balanced", "How much time the encoder of hevc or av1 may take: draft is quick, archive slow."
    )
    crf: float | None = option(
        None,
        "Constant quality; lower is better and larger. av1 goes up to 63, hevc to 51.",
        low=0,
        high=63,
        otherwise="the preset's own",
    )
    parameters: dict[str, str] = option(
        {}, "Further parameters of the encoder, as name=value:name=value.", name="params", otherwise="none"
    )
    hdr10plus: bool = option(
        False,
        "Add dynamic metadata (HDR10+, SMPTE ST 2094-40), measured shot by shot, to the stream, and write it as "
        "OUTPUT.hdr10plus.json. Players that know HDR10 only play the file as before.",
    )
    hdr10plus_target: int = option(
        400, "Peak of the display that the tone curves of HDR10+ are made for.", unit="nits", low=100, high=10_000
    )
    exr_white_nits: float = option(
        203.0,
        "Light that 1.0 stands for in EXR, written as whiteLuminance. 203 is diffuse white (BT.2408); 100 is what "
        "OpenColorIO's PQ curve gives.",
        name="exr_white",
        unit="nits",
        low=1,
        high=10_000,
    )
    exr_primaries: LinearPrimaries = option(
        "bt2020", "Primaries of EXR, written as chromaticities: bt2020, or ap0 for ACES2065-1."
    )
    start_number: int = option(1, "Number of the first picture of exr, png and tiff.", low=0, high=10_000_000)
    chunk_frames: int = option(
        120, "Longest chunk: what a crash can cost, and the longest GOP.", unit="frames", low=8, high=2000
    )


@dataclass(frozen=True, kw_only=True)
class JobOptions(Options):
    """How an encode is run; none of it changes a bit of the picture."""

    GROUP: ClassVar[str] = "Running"

    workers: int | None = option(
        None,
        "Processes that make chunks side by side.",
        unit="processes",
        low=1,
        high=4096,
        otherwise="1 on this machine, or as many as a Ray cluster has room for",
    )
    threads: int | None = option(
        None,
        "Threads that each worker computes with. A job that goes on keeps the number it began with.",
        unit="threads",
        low=1,
        high=1024,
        otherwise="the cores divided by the workers",
    )
    executor: Literal["local", "ray"] = option(
        "local", "Where chunks are made: local is on this machine, ray on the nodes of a Ray cluster."
    )
    address: str | None = option(None, "Address of the Ray cluster.", otherwise="one is started here")
    store: str | None = option(
        None,
        "URL through which a cluster's nodes exchange source and chunks: s3://bucket/folder, or any other of fsspec's.",
        otherwise="none, and all see source and output at one path",
    )
    drop: str | None = option(
        None,
        "Streams of the source to leave out, by number, with commas between: for what the output's container can't "
        "hold. vsdslnet info lists them.",
        otherwise="none",
    )
    restart: bool = option(False, "Throw away what an earlier call finished, and start anew.")
    overwrite: bool = option(False, "Replace the output if it is there already.")
    keep: bool = option(False, "Keep the folder OUTPUT.vsdslnet/ when done.")
    quiet: bool = option(False, "Say nothing but errors.", flag="-q")
    json_lines: bool = option(False, "Tell progress as one JSON object a line on stdout.")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("address", "store"):
            if getattr(self, name) is not None and self.executor != "ray":
                raise ArgumentError(name, getattr(self, name), "only with --executor ray", "add it, or leave this out")

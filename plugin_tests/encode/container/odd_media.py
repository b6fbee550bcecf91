"""Small files in situations that people report: each written by PyAV, as other programs write them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from plugin_tests.encode.media import picture

__all__ = ["PLAIN_ASS", "cover_bytes", "film", "join", "remux", "tones"]

PLAIN_ASS = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def film(
    path: Path,
    *,
    frames: int = 12,
    rate: Fraction = Fraction(24),
    size: tuple[int, int] = (64, 48),
    sound: str | None = "aac",
    sound_options: dict[str, str] | None = None,
    subtitles: tuple[str, Sequence[tuple[int, int, str]]] | None = None,
    chapters: Sequence[tuple[int, int]] = (),
    attachments: Sequence[tuple[str, str, bytes]] = (),
    start_seconds: float = 0.0,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    codec: str = "libx264",
    codec_options: dict[str, str] | None = None,
) -> Path:
    """A film with sound; subtitles as (codec, (start, end, text) in milliseconds), chapters in milliseconds."""
    options = container_options or {}
    with av.open(str(path), "w", format=container, container_options=options) as output:
        video = output.add_stream(codec, rate=rate, options=codec_options or {})
        video.width, video.height, video.pix_fmt = *size, pixel_format
        audio = output.add_stream(sound, rate=48_000, options=sound_options or {}) if sound else None
        text = output.add_stream(subtitles[0]) if subtitles else None
        if text:
            text.codec_context.subtitle_header = PLAIN_ASS
        for name, mimetype, data in attachments:
            output.add_attachment(name, mimetype, data)
        if chapters:
            thousandth = Fraction(1, 1000)
            output.set_chapters(
                [
                    {
                        "id": number,
                        "start": start,
                        "end": end,
                        "time_base": thousandth,
                        "metadata": {"title": str(number)},
                    }
                    for number, (start, end) in enumerate(chapters, start=1)
                ]
            )
        packets: list[Any] = []
        later = round(start_seconds * 1000)
        for number in range(frames):
            image = av.VideoFrame.from_ndarray(picture(number, width=size[0], height=size[1]), format="rgb24")
            image = image.reformat(format=pixel_format)
            image.pts, image.time_base = number, 1 / rate
            packets += video.encode(image)
        packets += video.encode(None)
        if audio:
            packets += tones(audio, seconds=frames / rate)
        for start, end, said in subtitles[1] if subtitles else ():
            line = av.subtitles.subtitle.SubtitleSet.create(
                f"0,0,Default,,0,0,0,,{said}".encode(), 0, end - start, pts=start * 1000
            )
            packet = text.codec_context.encode_subtitle(line)
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration = end - start
            packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts * Fraction(packet.time_base)):
            shift = round(Fraction(later, 1000) / Fraction(packet.time_base))
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            output.mux(packet)
    return path


def tones(audio: Any, *, seconds: Fraction) -> list[Any]:
    """Packets of a sine tone."""
    packets: list[Any] = []
    context = audio.codec_context
    context.open()
    step, total = context.frame_size or 1024, int(48_000 * seconds)
    resampler = av.AudioResampler(format=context.format, layout=context.layout, rate=48_000)
    for start in range(0, total, step):
        wave = np.sin(np.arange(start, start + step) * 0.05).astype(np.float32) * 0.1
        block = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        block.sample_rate, block.pts, block.time_base = 48_000, start, Fraction(1, 48_000)
        for converted in resampler.resample(block):
            packets += audio.encode(converted)
    return packets + audio.encode(None)


def remux(source: Path, target: Path, *, first_seconds: float = 0.0, cover: bytes = b"") -> Path:
    """Copy streams; from a time on (packets before it stay, hidden by an edit list), with a cover."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        copies = {stream.index: after.add_stream_from_template(stream, opaque=True) for stream in before.streams}
        if cover:
            image = after.add_stream("mjpeg", rate=1)
            image.width = image.height = 32
            image.pix_fmt = "yuvj420p"
            image.disposition = av.stream.Disposition.attached_pic
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.time_base = image, 0, 0, Fraction(1, 1)
            after.start_encoding()
            after.mux(packet)
        for packet in before.demux():
            if not packet.size or packet.dts is None:
                continue
            shift = round(Fraction(first_seconds) / Fraction(packet.time_base))
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = copies[packet.stream_index]
            after.mux(packet)
    return target


def join(path: Path, *parts: Path) -> Path:
    """Bytes behind bytes, as ``cat`` does."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def cover_bytes() -> bytes:
    """A JPEG of 32x32 pixels."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width = context.height = 32
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 1)
    image = av.VideoFrame.from_ndarray(picture(3, width=32, height=32), format="rgb24").reformat(format="yuvj420p")
    image.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(image), *context.encode(None)])

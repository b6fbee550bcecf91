"""Clips that the encode tests make themselves, and an executor that makes chunks in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vsdslnet.encode.chunk.maker import ChunkMaker, Progress
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import ChunkResult
from vsdslnet.encode.settings import EncodeSettings
from vsdslnet.encode.workers.interface import check_here

TICKS = 24_000


class InProcessExecutor:
    """Makes the chunks here, at most ``limit`` of them before it fails; counts those it made."""

    threads = 1

    def __init__(self, *, limit: int | None = None) -> None:
        self.made: list[int] = []
        self._limit = limit

    def check(self, settings: EncodeSettings) -> None:
        check_here(settings)

    def run(self, job: Job, folder: Path, chunks: Sequence[Chunk], progress: Progress) -> Iterator[ChunkResult]:
        maker = ChunkMaker(job, folder)
        for chunk in chunks:
            if len(self.made) == self._limit:
                raise KeyboardInterrupt
            self.made.append(chunk.index)
            yield maker.make(chunk, progress)


def make_bare_clip(path: Path, *, codec: str, format: str, frames: int = 20) -> Path:
    """24 frames a second with two B frames in a row, in a container that has no presentation times."""
    with av.open(str(path), "w", format=format) as output:
        video = output.add_stream(codec, rate=24)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.options = {"bf": "2"}
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, width=96, height=64), format="rgb24")
            output.mux(video.encode(frame.reformat(format="yuv420p")))
        output.mux(video.encode(None))
    return path


def picture(number: int, *, width: int, height: int) -> np.ndarray[Any, Any]:
    """A frame of a moving, colourful picture, with another shot every 30 frames: (height, width, 3) uint8."""
    shot = number // 30
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    planes = (x * 2 + number * 3 + shot * 90, y * 3 + shot * 120, x + y + number + (1 - shot % 2) * 100)
    return (np.stack(planes, -1) % 256).astype(np.uint8)


def make_clip(
    path: Path,
    *,
    frames: int = 48,
    width: int = 96,
    height: int = 64,
    vfr: bool = False,
    audio: bool = True,
    sample_aspect: Fraction = Fraction(1),
    rotation: int = 0,
    options: dict[str, str] | None = None,
    colour: tuple[int, int, int] | None = None,
    chapters: bool = False,
    attachment: bytes | None = None,
    tags: dict[str, str] | None = None,
) -> Path:
    """An H.264 file with sine audio; ``vfr`` makes every third frame longer."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = Fraction(1, TICKS)
        video.options = {"crf": "12", **(options or {})}
        video.codec_context.sample_aspect_ratio = sample_aspect
        if colour:
            context = video.codec_context
            context.color_primaries, context.color_trc, context.colorspace = colour
        if rotation:
            video.set_display_rotation(rotation)
        sound = output.add_stream("aac", rate=48_000) if audio else None
        if sound:
            sound.metadata.update({"language": "fra", "title": "Voix"})
        if attachment:
            output.add_attachment("note.txt", "text/plain", attachment)
        output.metadata.update(tags or {})
        if chapters:
            half = {"time_base": Fraction(1, 1000), "metadata": {}}
            output.set_chapters(
                [
                    half | {"id": 1, "start": 0, "end": 500, "metadata": {"title": "One"}},
                    half | {"id": 2, "start": 500, "end": 1000, "metadata": {"title": "Two"}},
                ]
            )
        ticks = 0
        for number in range(frames):
            image = picture(number, width=width, height=height)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = ticks, Fraction(1, TICKS)
            ticks += 1000 + (500 if vfr and number % 3 == 2 else 0)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if sound:
            for start in range(0, 48_000 * ticks // TICKS, 1024):
                wave = np.sin(np.arange(start, start + 1024) * 0.05).astype(np.float32) * 0.1
                samples = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
                samples.sample_rate, samples.pts, samples.time_base = 48_000, start, Fraction(1, 48_000)
                output.mux(sound.encode(samples))
            output.mux(sound.encode(None))
    return path


def video_times(path: Path) -> list[float]:
    """Presentation times of the decoded frames, in seconds."""
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def decoded_video(path: Path) -> list[bytes]:
    """The decoded frames' planes."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


def packets(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """Times and contents of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [
            (float(packet.pts * packet.time_base), bytes(packet)) for packet in container.demux(stream) if packet.size
        ]

"""Makes chunks: frames out of the converted clip into files."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import vapoursynth as vs

from vsdslnet.encode.chunk.encoders import Picture
from vsdslnet.encode.chunk.file import ChunkFile
from vsdslnet.encode.chunk.light import with_light, with_shot_light
from vsdslnet.encode.job.chunks import Chunk
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.job.journal import ChunkResult
from vsdslnet.encode.source.clip import deliver, open_converted
from vsdslnet.encode.source.script import frame_error
from vsdslnet.errors import JobError
from vsdslnet.plugin.caches import frames_in_order

__all__ = ["ChunkMaker", "Progress"]

# Told after each frame: chunk's index, frames done in it, brightest pixel so far in cd/m².
Progress = Callable[[int, int, float], None]

# Frames the clip may run ahead of the encoder: enough to keep all threads busy, and little memory.
_FRAMES_AHEAD = 4
_CACHE_MEBIBYTES = 1024


class ChunkMaker:
    """Opens a job's source once, then makes any of its chunks; the same result wherever it runs."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._job, self._folder = job, folder
        vs.core.max_cache_size = min(vs.core.max_cache_size, _CACHE_MEBIBYTES)
        converted = open_converted(
            job.source, job.identity.settings, threads=job.decoder_threads, index=folder / "source"
        )
        if len(converted) != job.frames:
            raise JobError(f"the source has {len(converted)} frames here, the job says {job.frames}; use --restart")
        settings = job.identity.settings
        pixels = job.form.pixels
        delivered = deliver(converted, peak_nits=settings.peak_nits, transfer=settings.transfer, pixels=pixels)
        measured = with_shot_light if settings.hdr10plus else with_light
        self._clip = measured(delivered) if settings.transfer == "pq" else delivered
        self._picture = Picture(
            width=self._clip.width,
            height=self._clip.height,
            frame_rate=job.frame_rate,
            sample_aspect=Fraction(*job.source.sample_aspect),
        )

    def make(self, chunk: Chunk, progress: Progress) -> ChunkResult:
        """Make a chunk and give its file the final name; JobError if that can't be done."""
        return self.feed(chunk, progress).finish()

    def feed(self, chunk: Chunk, progress: Progress) -> ChunkFile:
        """Convert a chunk's frames into a file that still has to finish; JobError if that can't be done."""
        file = ChunkFile(self._job, self._folder, chunk, self._picture)
        ahead = min(_FRAMES_AHEAD, vs.core.num_threads)
        clip = self._clip[chunk.first : chunk.end]
        try:
            for done, frame in enumerate(frames_in_order(clip, ahead=ahead), start=1):
                file.add(frame)
                progress(chunk.index, done, file.max_nits)
        except BaseException as error:
            file.abort()
            if isinstance(error, vs.Error):
                raise JobError(f"frames {chunk.first}-{chunk.end - 1}: {frame_error(error)}") from None
            raise
        return file

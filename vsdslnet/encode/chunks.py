"""Makes one chunk: frames out of the converted clip, through the encoder, into a checked file."""

from __future__ import annotations

import errno
import hashlib
import time
import uuid
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import vapoursynth as vs

from vsdslnet.encode import av1, hevc
from vsdslnet.encode.encoders import Picture, open_encoder
from vsdslnet.encode.job import JobPlan
from vsdslnet.encode.journal import ChunkResult, chunk_path, file_sha256, finish_durably
from vsdslnet.encode.light import frame_light_nits, with_light
from vsdslnet.encode.plan import Chunk
from vsdslnet.encode.source import deliver, open_converted
from vsdslnet.errors import JobError

__all__ = ["ChunkMaker", "Progress"]

# Told after each frame: chunk's index, frames done in it, brightest pixel so far in cd/m².
Progress = Callable[[int, int, float], None]

# Frames the clip may run ahead of the encoder: enough to keep all threads busy, and little memory.
_FRAMES_AHEAD = 4
_CACHE_MEBIBYTES = 1024


class ChunkMaker:
    """Opens a job's source once, then makes any of its chunks; the same result wherever it runs."""

    def __init__(self, plan: JobPlan, folder: Path) -> None:
        self._plan, self._folder = plan, folder
        vs.core.max_cache_size = min(vs.core.max_cache_size, _CACHE_MEBIBYTES)
        converted = open_converted(
            Path(plan.source.path), plan.identity.settings, track=plan.source.track, index=folder / "source"
        )
        if len(converted) != plan.frames:
            raise JobError(f"the source has {len(converted)} frames here, the plan says {plan.frames}; use --restart")
        self._clip = with_light(deliver(converted, peak_nits=plan.identity.settings.peak_nits))
        self._picture = Picture(
            width=self._clip.width,
            height=self._clip.height,
            frame_rate=plan.frame_rate,
            sample_aspect=Fraction(*plan.source.sample_aspect),
        )

    def make(self, chunk: Chunk, progress: Progress) -> ChunkResult:
        """Make a chunk and give its file the final name; JobError if that can't be done."""
        started = time.monotonic()
        final = chunk_path(self._folder, chunk.index, self._plan.suffix)
        partial = final.with_name(f".{final.name}.{uuid.uuid4().hex}.partial")
        digest = hashlib.sha256()
        brightest = highest_average = 0.0
        try:
            encoder = open_encoder(
                self._plan.encoder,
                self._plan.identity.settings,
                picture=self._picture,
                frames=chunk.frames,
                path=partial,
            )
            try:
                ahead = min(_FRAMES_AHEAD, vs.core.num_threads)
                clip = self._clip[chunk.first : chunk.end]
                for done, frame in enumerate(clip.frames(prefetch=ahead, backlog=ahead, close=True), start=1):
                    light = frame_light_nits(frame)
                    brightest, highest_average = max(brightest, light[0]), max(highest_average, light[1])
                    for plane in range(3):
                        digest.update(np.ascontiguousarray(np.asarray(frame[plane])).data)
                    encoder.feed(frame)
                    progress(chunk.index, done, brightest)
            except BaseException:
                encoder.abort()
                raise
            encoder.close()
            self._check(partial, chunk)
            result = ChunkResult(
                index=chunk.index,
                frames=chunk.frames,
                size_bytes=partial.stat().st_size,
                sha256=file_sha256(partial),
                frames_sha256=digest.hexdigest(),
                max_nits=brightest,
                max_average_nits=highest_average,
                seconds=time.monotonic() - started,
            )
            finish_durably(partial, final)
        except OSError as error:
            raise JobError(f"{self._folder}: can't write ({reason(error)})") from None
        except vs.Error as error:
            raise JobError(f"frames {chunk.first}-{chunk.end - 1}: {' '.join(str(error).split())}") from None
        finally:
            partial.unlink(missing_ok=True)
        return result

    def _check(self, path: Path, chunk: Chunk) -> None:
        """Count what the encoder wrote: a full disk or a dying program may go unnoticed otherwise."""
        data = path.read_bytes()
        hevc_stream = self._plan.suffix == "hevc"
        pictures = len(hevc.access_units(data)) if hevc_stream else len(av1.temporal_units(data))
        if pictures != chunk.frames:
            raise JobError(
                f"{self._folder}: the encoder wrote {pictures} of {chunk.frames} frames; is the disk full? "
                "What is finished is kept: run this command again"
            )


def reason(error: OSError) -> str:
    """Why the system refused, in words a person knows."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space is left"
    return error.strerror or str(error)

"""The finished file's muxing, rehearsed before any frame is computed: everything but the picture's bits is real.

Every stream, tag, chapter and attachment goes into the muxer, then every packet of the source in its order beside
pictures that stand in for those to come, at their times. What a muxer refuses is refused now, and not after days.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path

from vsdslnet.encode.chunk.encoder_parameters import PLACEHOLDER_LIGHT
from vsdslnet.encode.container.errors import MuxError
from vsdslnet.encode.container.mux import write_container
from vsdslnet.encode.container.passage import passage_of
from vsdslnet.encode.container.video_packets import PictureTimes, VideoPacket, elementary_to_packet, with_light
from vsdslnet.encode.job.description import Job
from vsdslnet.encode.source.tracks import open_tracks
from vsdslnet.errors import OutputError

__all__ = ["rehearse"]

# Encoders may put out a picture before two that are shown earlier; x265 does, with its usual B-frames.
_REORDERED_FRAMES = 2


def rehearse(job: Job, stream: bytes, *, output: Path, drop: Collection[int] = ()) -> list[str]:
    """Mux the job's file into nowhere, with the first picture of ``stream`` (the encoder's trial) for each of its.

    Returns, in words, what the source holds and the file will lack. OutputError names what the muxer refuses.
    """
    light = PLACEHOLDER_LIGHT if job.identity.settings.transfer == "pq" else None
    pictures = _StandIns(job, with_light(stream, light, suffix=job.suffix))
    with open_tracks(job.source.beside) as source:
        passage = passage_of(source, output, main=job.source.track, drop=drop, suffixes=job.form.suffixes)
        try:
            return write_container(job, passage, pictures, light, source=source, output=output, target=_Nowhere())
        except MuxError as error:
            raise OutputError(
                f"{output}: {output.suffix} can't hold {error}; name a file of another kind (.mkv, .mp4), "
                "or do without the stream: --drop and its number"
            ) from None


class _StandIns:
    """A picture in the place of each of the programme's."""

    def __init__(self, job: Job, first_picture: bytes) -> None:
        self._job, self._first = job, first_picture
        self._data = elementary_to_packet(self._first, suffix=job.suffix)

    def first_picture(self) -> bytes:
        """See :class:`~vsdslnet.encode.container.mux.Pictures`."""
        return self._first

    def __iter__(self) -> Iterator[VideoPacket]:
        """See :class:`~vsdslnet.encode.container.mux.Pictures`."""
        times, delay = PictureTimes(self._job), _REORDERED_FRAMES if self._job.suffix == "hevc" else 0
        keyframes = {chunk.first for chunk in self._job.chunks}
        for number in range(self._job.frames):
            yield VideoPacket(
                data=self._data,
                pts=times.pts[number],
                dts=times.dts(number - delay),
                duration=times.durations[number],
                is_keyframe=number in keyframes,
            )


class _Nowhere(io.RawIOBase):
    """A file that forgets what is written to it."""

    def __init__(self) -> None:
        self._at = self._size = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

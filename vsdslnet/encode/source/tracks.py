"""The file that everything beside the picture comes from, or nothing in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vsdslnet.encode.source.probe import main_video, open_media
from vsdslnet.errors import MediaError

__all__ = ["NoTracks", "open_tracks", "picture_of"]


class NoTracks:
    """What stands for an open file where there is none: nothing in it."""

    name = ""
    streams: tuple[Any, ...] = ()

    def __init__(self) -> None:
        self.metadata: dict[str, str] = {}

    def __enter__(self) -> NoTracks:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def chapters(self) -> list[Any]:
        """None."""
        return []

    def demux(self, *_: object) -> Iterator[Any]:
        """No packets."""
        return iter(())


def open_tracks(path: Path | str | None) -> Any:
    """Open the file whose sound, subtitles, chapters, attachments and tags a source has, if there is one."""
    return NoTracks() if path is None else open_media(Path(path))


def picture_of(media: Any) -> Any:
    """The video stream of an open file of tracks, or None: it may hold sound alone."""
    if isinstance(media, NoTracks):
        return None
    try:
        return main_video(media, Path(media.name))
    except MediaError:
        return None

"""The source as a user names it: a video file, or a VapourSynth script and the file that all else comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vsdslnet.encode.source.present import check_present
from vsdslnet.encode.source.probe import open_media
from vsdslnet.encode.source.script import ScriptCall, check_arguments
from vsdslnet.errors import ArgumentError, MediaError

__all__ = ["Given", "given"]

_SCRIPTS = (".vpy", ".py")
_AVISYNTH = (".avs", ".avsi")


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is to be converted.

    ``path``         a video file, or a script whose output 0 is the picture.
    ``tracks``       beside a script: the file that sound, subtitles, chapters, attachments, tags and times come from.
    ``arguments``    variables that a script finds set, as ``vspipe -a`` sets them.
    ``called_from``  the folder that a user means by relative names in ``arguments``.
    """

    path: Path
    tracks: Path | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    called_from: Path = field(default_factory=Path.cwd)

    @property
    def is_script(self) -> bool:
        """Whether the picture comes from a script."""
        return self.path.suffix.lower() in _SCRIPTS

    @property
    def call(self) -> ScriptCall:
        """How the script is evaluated."""
        return ScriptCall(arguments=dict(self.arguments), called_from=str(self.called_from))

    @property
    def beside(self) -> Path | None:
        """The file that everything but the picture comes from, if there is one."""
        return self.tracks if self.is_script else self.path

    def check(self) -> None:
        """MediaError if a file is missing or can't be read, before anything is looked at."""
        check_present(self.path, what="script" if self.is_script else "video file")
        if self.path.suffix.lower() in _AVISYNTH:
            raise MediaError(
                f"{self.path}: is an AviSynth script, and scripts have to be VapourSynth's (.vpy); have a program that "
                "knows AviSynth write its picture first (ffmpeg -i film.avs -c:v ffv1 film.mkv) and convert that file"
            )
        if not self.is_script:
            open_media(self.path).close()
            return
        if self.tracks is not None:
            open_media(self.tracks).close()


def given(path: Path | str, *, tracks: Path | str | None = None, arguments: Mapping[str, str] | None = None) -> Given:
    """What a user names. ArgumentError for ``tracks`` or ``arguments`` beside a file that is no script."""
    found = Given(
        path=Path(path).expanduser(),
        tracks=None if tracks is None else Path(tracks).expanduser(),
        arguments=dict(arguments or {}),
    )
    if not found.is_script and found.tracks is not None:
        raise ArgumentError(
            "tracks", str(tracks), "only beside a script (.vpy)", "leave it out: a video file brings its own"
        )
    if not found.is_script and found.arguments:
        raise ArgumentError("script-arg", found.arguments, "only with a script (.vpy)", "leave it out")
    check_arguments(found.arguments)
    return found

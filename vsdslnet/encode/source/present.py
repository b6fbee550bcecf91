"""Whether a name is that of a file that can be read, asked before anybody opens it."""

from __future__ import annotations

import stat
from pathlib import Path

from vsdslnet.errors import MediaError, is_utf8

__all__ = ["check_present"]


def check_present(path: Path, *, what: str) -> None:
    """MediaError, in one line, unless ``path`` is a file; ``what`` is what a user should name instead of a directory.

    A pipe is none: a source is read several times, and whoever opens one waits for a writer, perhaps for ever.
    """
    if not is_utf8(str(path.absolute())):
        raise MediaError(f"{path}: its path is not UTF-8, which VapourSynth asks for; rename it")
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise MediaError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        raise MediaError(f"{path}: can't be looked at ({error.strerror}); check the path and its permissions") from None
    if stat.S_ISDIR(mode):
        raise MediaError(f"{path}: is a directory; name a {what} in it")
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        raise MediaError(f"{path}: is a pipe, and a source is read several times; write it to a file first")

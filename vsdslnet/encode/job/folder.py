"""A job's folder: one job at a time in it, swept before work, cleared when its file is complete."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vsdslnet.encode.job.description import JOB_NAME
from vsdslnet.encode.job.journal import JOURNAL_NAME
from vsdslnet.errors import JobError, OutputError

__all__ = ["clear", "holds_job", "job_folder", "locked", "sweep"]

_LOCK_NAME = "lock"


def job_folder(output: Path) -> Path:
    """Where a job keeps what it has done: beside the file it makes."""
    return output.with_name(f"{output.name}.vsdslnet")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder, made where there is none, for one job; leave none behind in which no job was begun.

    JobError if another process holds it, OutputError if it can't be made. The system lets go when we die.
    """
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        raise OutputError(f"{folder}: is in the way, and no folder; move it, or name another output") from None
    except OSError as error:
        raise OutputError(f"{folder.parent}: can't be written to ({error.strerror})") from None
    try:
        file = (folder / _LOCK_NAME).open("wb")
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()  # refused unless it is empty
        raise OutputError(f"{folder.parent}: can't be written to ({error.strerror})") from None
    with file:
        try:
            _lock(file)
        except OSError:
            raise JobError(f"{folder}: another encode is at work here; wait for it or end it") from None
        try:
            yield
        finally:
            # Still ours: the folder of another, whose source is only being looked through, would seem idle too.
            if sys.platform == "win32":
                file.close()  # Windows removes no open file, and so none of another job's
            _remove_if_idle(folder)


def sweep(folder: Path, *, everything: bool) -> None:
    """Remove what a killed process left half-written; with ``everything`` all but the lock."""
    for path in _files(folder):
        if path.name != _LOCK_NAME and (everything or path.name.endswith(".partial")):
            path.unlink()


def holds_job(folder: Path) -> bool:
    """Whether a job was begun there and not yet cleared away."""
    return (folder / JOB_NAME).exists() or (folder / JOURNAL_NAME).exists()


def clear(folder: Path) -> None:
    """Remove a finished job's folder: its journal after everything else, so that a stop is understood."""
    for path in _files(folder):
        if path.name not in (JOURNAL_NAME, _LOCK_NAME):
            path.unlink()
    (folder / JOURNAL_NAME).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    """What may be ours: network storage puts folders of its own (@eaDir) into any."""
    return [path for path in folder.iterdir() if path.is_symlink() or not path.is_dir()]


def _lock(file: BinaryIO) -> None:
    """Take it for this process alone; OSError if another has it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_if_idle(folder: Path) -> None:
    """Remove a folder in which nothing was kept."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {_LOCK_NAME}:
        shutil.rmtree(folder, ignore_errors=True)

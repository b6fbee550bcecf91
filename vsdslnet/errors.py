"""The exceptions a user can meet.

::

    Exception
    └── DslnetError              everything this package raises on purpose
        ├── ArgumentError        an argument is wrong: says which, what it got, what is allowed, the cure
        ├── ClipError            a clip can't be converted as it is: says why and the cure
        ├── WeightsError         a weights file is missing, damaged or not ours
        ├── BackendError         the network can't run here as asked for: device, precision, memory
        ├── ExecutorError        what is to have chunks made can't be reached: a Ray cluster, a store
        ├── MissingPackageError  a package that this needs is not installed: says how to install it
        ├── MediaError           a file can't be read or is not what it should be
        │   └── OutputError      a file can't be written where it was asked for
        └── JobError             an encode can't go on: says what is kept and how to resume

Inside VapourSynth every one of them reaches the script as ``vs.Error`` with the same text.
"""

from __future__ import annotations

import unicodedata

__all__ = [
    "ArgumentError",
    "BackendError",
    "ClipError",
    "DslnetError",
    "ExecutorError",
    "JobError",
    "MediaError",
    "MissingPackageError",
    "OutputError",
    "WeightsError",
    "is_utf8",
    "one_line",
    "printable",
    "shorten",
]


class DslnetError(Exception):
    """Base of everything this package raises on purpose; its text is one line fit for a user.

    >>> from vsdslnet import ConvertOptions
    >>> try:
    ...     ConvertOptions(strength=2)
    ... except DslnetError as error:
    ...     print(error)
    strength=2 is not allowed: a number from 0 to 1
    """


class ArgumentError(DslnetError, ValueError):
    """An argument is wrong.

    The text always has the same four parts: the argument's name, the value it got, what is
    allowed, and the cure.

    >>> raise ArgumentError("crf", 99, "a number from 0 to 51", "lower is better and larger")
    Traceback (most recent call last):
    vsdslnet.errors.ArgumentError: crf=99 is not allowed: a number from 0 to 51; lower is better and larger
    """

    def __init__(self, argument: str, got: object, allowed: str, cure: str = "") -> None:
        self.argument = argument
        self.got = got
        self.allowed = allowed
        self.cure = cure
        text = f"{argument}={shorten(got)} is not allowed: {allowed}"
        super().__init__(f"{text}; {cure}" if cure else text)

    def __reduce__(self) -> tuple[type[ArgumentError], tuple[str, object, str, str]]:
        # An exception's own way would call the constructor with the finished text alone.
        return type(self), (self.argument, self.got, self.allowed, self.cure)


class ClipError(DslnetError, ValueError):
    """A clip can't be converted as it is (format, field order, already HDR, ...)."""


class WeightsError(DslnetError):
    """A weights file is missing, damaged, or does not hold a network of ours."""


class BackendError(DslnetError, RuntimeError):
    """The network can't run here as asked for: no such device or precision, too little memory."""


class ExecutorError(DslnetError, RuntimeError):
    """What is to have an encode's chunks made can't be reached: a Ray cluster, or the store its nodes share."""


class MissingPackageError(DslnetError, ImportError):
    """A package that this needs is not installed.

    >>> raise MissingPackageError("a plot", "matplotlib", "pip install matplotlib")
    Traceback (most recent call last):
    vsdslnet.errors.MissingPackageError: a plot needs matplotlib, which is not installed: pip install matplotlib
    """

    def __init__(self, what: str, package: str, cure: str) -> None:
        self.what, self.package, self.cure = what, package, cure
        super().__init__(f"{what} needs {package}, which is not installed: {cure}")

    def __reduce__(self) -> tuple[type[MissingPackageError], tuple[str, str, str]]:
        return type(self), (self.what, self.package, self.cure)


class MediaError(DslnetError):
    """A media file can't be read, or is not what it should be."""


class OutputError(MediaError):
    """A file can't be written where it was asked for: no permission, no space, already there."""


class JobError(DslnetError):
    """An encode can't go on; the text says what is kept and how to resume."""


def one_line(error: object) -> str:
    """What another library's error says, without line breaks."""
    return " ".join(str(error).split())


def printable(text: str) -> str:
    """Text with names of files in it, in one line: control characters and bytes that are no UTF-8 as escapes.

    >>> print(printable("a\\nb.mkv"))
    a\\nb.mkv
    """
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def is_utf8(text: str) -> bool:
    """Whether text can be written; what the system gives of other bytes (PEP 383) can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shorten(value: object, limit: int = 80) -> str:
    """``repr`` of a value, cut to ``limit`` characters: a cure comes after it."""
    try:
        text = repr(value)
        if isinstance(value, str) and value.isprintable():
            text = text.replace("\\\\", "\\")  # a Windows path, which people want to read and copy
    except Exception:  # an integer of more than 4300 digits, or a foreign class: still name it
        text = f"<{type(value).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"

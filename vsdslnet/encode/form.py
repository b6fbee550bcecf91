"""What an encode makes of each codec: which pixels it takes, which files hold it."""

from __future__ import annotations

from typing import NamedTuple

from vsdslnet.encode.settings import EncodeSettings

__all__ = ["CONTAINERS", "Form", "form_of", "forms"]

CONTAINERS = (".mkv", ".mp4", ".m4v", ".mov")


class Form(NamedTuple):
    """``pixels``: VapourSynth's name of the format that is encoded. ``chunk_suffix``: of the chunks' files.

    ``suffixes``: of the finished file; of each picture, where ``is_sequence``: a file for every frame.
    ``fourcc``: what MOV calls a codec whose every picture stands alone; the others are HEVC and AV1.
    """

    pixels: str
    chunk_suffix: str
    suffixes: tuple[str, ...]
    is_sequence: bool = False
    fourcc: str = ""

    @property
    def is_rgb(self) -> bool:
        """R'G'B' of 16 bits, full range; else Y'CbCr of 10 bits, limited range."""
        return self.pixels.startswith("RGB")

    def delivered_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the picture that is encoded: even where chroma is subsampled."""
        wide, high = self.pixels.startswith(("YUV420", "YUV422")), self.pixels.startswith("YUV420")
        return width + (width % 2 if wide else 0), height + (height % 2 if high else 0)


_FORMS = {
    "hevc": Form("YUV420P10", "hevc", CONTAINERS),
    "av1": Form("YUV420P10", "obu", CONTAINERS),
    "prores hq": Form("YUV422P10", "prores", (".mov", ".mkv"), fourcc="apch"),
    "prores 4444": Form("YUV444P10", "prores", (".mov", ".mkv"), fourcc="ap4h"),
    "dnxhr": Form("YUV422P10", "dnxhr", (".mov",), fourcc="AVdh"),
    "exr": Form("RGB48", "zip", (".exr",), is_sequence=True),
    "png": Form("RGB48", "zip", (".png",), is_sequence=True),
    "tiff": Form("RGB48", "zip", (".tif", ".tiff"), is_sequence=True),
}


def form_of(settings: EncodeSettings) -> Form:
    """The form of the codec and its profile."""
    name = f"prores {settings.profile}" if settings.codec == "prores" else settings.codec
    return _FORMS[name]


def forms() -> list[tuple[str, Form]]:
    """Every codec with its form, of several profiles the first."""
    found: dict[str, Form] = {}
    for name, form in _FORMS.items():
        found.setdefault(name.partition(" ")[0], form)
    return list(found.items())

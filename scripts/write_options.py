"""Write what has to repeat ``vsdslnet.options`` in a file: the shim's header and README's table.

``python scripts/write_options.py`` after any change of an option or of the version; ``--check`` only says which files
would change, and fails if any would.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any, get_origin

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vsdslnet import __version__  # noqa: E402
from vsdslnet.option_specs import Spec, specs  # noqa: E402
from vsdslnet.options import ClipOptions  # noqa: E402

HEADER = ROOT / "vsdslnet" / "native" / "options.h"
README = ROOT / "README.md"
TABLE = re.compile(r"(?<=<!-- options -->\n).*?(?=<!-- end of options -->)", re.DOTALL)
CLIP = (
    "constant format and size, progressive, SDR: 8-16 bit integer or 16/32-bit float, YUV, RGB or Gray, any "
    "subsampling, any size"
)


def main() -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something would be written")
    check = parser.parse_args().check
    readme = README.read_text()
    if not TABLE.search(readme):
        parser.error(f"{README.name} has no <!-- options --> and <!-- end of options -->")
    written = {HEADER: header(), README: TABLE.sub(lambda _: table(), readme)}
    stale = [path for path, text in written.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'is not what vsdslnet/options.py says' if check else 'written'}")
        if not check:
            path.write_text(written[path])
    sys.exit(bool(check and stale))


def header() -> str:
    """The shim's version and Convert's arguments as VapourSynth declares them, as a C header."""
    major, minor, *_ = __version__.split(".")
    lines = "\n".join(f'    "{spec.name}:{vapoursynth_type(spec.kind)}:opt;" \\' for spec in specs(ClipOptions))
    return f"""/* Written by scripts/write_options.py from vsdslnet/options.py; don't edit. */
#define DSLNET_VERSION_MAJOR {major}
#define DSLNET_VERSION_MINOR {minor}
#define DSLNET_CONVERT_ARGUMENTS \\
    "clip:vnode;" \\
{lines.removesuffix(chr(92)).rstrip()}
"""


def vapoursynth_type(kind: Any) -> str:
    """A Python type by VapourSynth's name."""
    if get_origin(kind) is tuple:
        return "int[]"
    return {int: "int", bool: "int", float: "float"}.get(kind, "data")


def table() -> str:
    """README's rows: argument, default, what."""
    rows = [
        "| argument | default | what |",
        "|---|---|---|",
        f"| `clip` | | {CLIP} |",
        *(f"| `{spec.name}` | {default_of(spec)} | {what(spec)} |" for spec in specs(ClipOptions)),
    ]
    return "\n".join(rows) + "\n"


def default_of(spec: Spec) -> str:
    """A default in a script's spelling, or what leaving the argument out means."""
    if spec.default is None:
        return spec.note.otherwise
    return f'`"{spec.default}"`' if isinstance(spec.default, str) else f"`{spec.default:g}`"


def what(spec: Spec) -> str:
    """The help, with bounds and choices."""
    bounds = f" {spec.bounds[0].upper()}{spec.bounds[1:]}." if spec.bounds else ""
    choices = " " + ", ".join(f'`"{choice}"`' for choice in spec.choices) + "." if spec.choices else ""
    return f"{spec.note.help}{bounds}{choices}"


if __name__ == "__main__":
    main()

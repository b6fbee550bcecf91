"""``python -m vsdslnet.training COMMAND``: make material into weights, and measure them.

    build      a dataset of windows, from HDR material or from films
    train      a network, on such a dataset
    evaluate   a model against formulas, on pairs, datasets and synthetic pictures
    blend      several runs' weights into one file
    weights    all of it, as for the model that ships
    looks      the looks that ship
    ablate     the paper's tables: its variants and baselines, trained and measured alike

``COMMAND --help`` says more. What they need is installed by ``pip install 'vsdslnet[train]'``.
"""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = ("build", "train", "evaluate", "blend", "weights", "looks", "ablate")


def main(given: list[str] | None = None) -> None:
    """Hand the arguments to the command they name."""
    name, *rest = (sys.argv[1:] if given is None else given) or ["--help"]
    if name in ("-h", "--help"):
        print(__doc__.strip())
        return
    if name not in COMMANDS:
        sys.exit(f"vsdslnet.training: {name!r} is no command: {', '.join(COMMANDS)}; see --help")
    try:
        command = import_module(f"vsdslnet.training.commands.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "vsdslnet":
            raise
        sys.exit(f"vsdslnet.training: {error.name} is not installed; pip install 'vsdslnet[train]'")
    command.main(rest)


if __name__ == "__main__":
    main()

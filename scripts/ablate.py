#!/usr/bin/env python3
"""The same as ``python -m vsdslnet.training ablate``, from a checkout."""

from vsdslnet.training.commands.ablate import main

if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The same as ``python -m vsdslnet.training evaluate``, from a checkout."""

from vsdslnet.training.commands.evaluate import main

if __name__ == "__main__":
    main()

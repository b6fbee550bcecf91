#!/usr/bin/env python3
"""The same as ``python -m vsdslnet.training build``, from a checkout."""

from vsdslnet.training.commands.build import main

if __name__ == "__main__":
    main()

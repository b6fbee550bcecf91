#!/usr/bin/env python3
"""The same as ``python -m vsdslnet.training blend``, from a checkout."""

from vsdslnet.training.commands.blend import main

if __name__ == "__main__":
    main()

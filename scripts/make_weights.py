#!/usr/bin/env python3
"""The same as ``python -m vsdslnet.training weights``, from a checkout."""

from vsdslnet.training.commands.weights import main

if __name__ == "__main__":
    main()

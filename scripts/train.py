#!/usr/bin/env python3
"""The same as ``python -m vsdslnet.training train``, from a checkout."""

from vsdslnet.training.commands.train import main

if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The same as ``python -m plugin_tests.benchmarks.cuda``, from anywhere."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from plugin_tests.benchmarks.cuda import main

if __name__ == "__main__":
    main()

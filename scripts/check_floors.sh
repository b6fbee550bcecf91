#!/usr/bin/env bash
# Whether this project runs with the oldest versions that pyproject.toml admits: installs them, and it, in an environment
# of its own, runs the demo and the tests of the rooms that need no more. Before a release, or when a floor changes; too
# large for every run of the tests (PyTorch brings CUDA).
#
#   scripts/check_floors.sh [folder, default a temporary one]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-$(mktemp -d)}
python=${PYTHON:-python3}

"$python" - >"$folder/floors.txt" <<'PYTHON'
import tomllib

with open("pyproject.toml", "rb") as file:
    for wanted in tomllib.load(file)["project"]["dependencies"]:
        print(wanted.replace(">=", "=="))
PYTHON
cat "$folder/floors.txt"
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --constraint "$folder/floors.txt" . \
  pytest pytest-timeout pytest-xdist hypothesis colour-science imageio-ffmpeg pymediainfo
export PATH=$folder/venv/bin:$PATH
(cd "$folder" && vsdslnet demo)
# Triton of that age has another interface to compile for a device elsewhere, and an editable install needs pip's newest.
python -m pytest -q -p no:cacheprovider plugin_tests/plugin plugin_tests/inference plugin_tests/color \
  --ignore plugin_tests/inference/cuda --ignore plugin_tests/plugin/test_packaging.py

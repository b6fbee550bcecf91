#!/usr/bin/env bash
# Collect what scripts/gpu_check.sh needs on a machine without a network: this project's shim and the wheels of
# those dependencies that an image with PyTorch, onnxruntime and pytest lacks. Versions are those of this environment.
#
#   scripts/gpu_wheels.sh [folder, default .whl]
#
# For Python 3.12 on Linux x86_64; stops if the folder would be larger than a device machine takes with it.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.whl}
python=${PYTHON:-python3}
most_mib=56

packages="vapoursynth vapoursynth-bestsource vapoursynth-scenechange vsutil msgspec cyclopts
  docstring-parser rich-rst av piq"

rm -rf "$folder"
mkdir -p "$folder"
for package in $packages; do
  version=$("$python" -c 'import sys, importlib.metadata as m; print(m.version(sys.argv[1]))' "$package")
  platforms=()
  for glibc in 2_34 2_31 2_28 2_27 2_24 2_17; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
  "$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    "${platforms[@]}" --platform manylinux2014_x86_64 --platform manylinux1_x86_64 --platform any \
    --dest "$folder" "$package==$version"
done
# Of this project's own wheel the shim alone: it serves every Python, and the rest is in the checkout.
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$own" .
"$python" -m zipfile -e "$own"/vsdslnet-*.whl "$own"
cp "$own/vapoursynth/plugins/dslnet.so" "$folder"
ls -l "$folder"
mib=$(du -sm "$folder" | cut -f1)
echo "$mib MiB in $folder"
if [ "$mib" -gt "$most_mib" ]; then
  echo "gpu_wheels: more than $most_mib MiB; leave something out" >&2
  exit 1
fi

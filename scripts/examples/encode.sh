#!/usr/bin/env bash
# Files to HDR10 files, one after the other. Stop it whenever you like: started again, it goes on where it was.
#   scripts/examples/encode.sh OUTPUT_FOLDER FILE...
set -euo pipefail
folder=$1
shift
mkdir -p "$folder"
for file in "$@"; do
  output="$folder/$(basename "${file%.*}").hdr10.mkv"
  if [[ -e $output && ! -e $output.vsdslnet ]]; then
    continue
  fi
  # 3: this file can't be converted (the reason is printed); go on with the next one.
  vsdslnet encode "$file" -o "$output" --preset balanced || [[ $? -eq 3 ]]
done

#!/usr/bin/env bash
# Everything that only a machine with a CUDA device can tell, in under six minutes, on one without a network.
#
#   scripts/gpu_wheels.sh .whl                                   # before, where there is a network
#   scripts/gpu_check.sh [--device cpu] [--wheels .whl] [--out folder] [--only "tests fp16 profile"] [--seconds 350]
#
# Steps in order of what they are worth; each has a time limit of its own, and the next goes on whatever became of it.
# After --seconds in all nothing goes on, and what was not begun is said to be skipped.
# What they say is in log.txt; results.jsonl has the benchmark, profile_*.txt the longest kernels, train.jsonl the steps.
# --device cpu runs the script itself where there is no device, on small frames; --only runs the steps named, behind
# what prepares them.
set -uo pipefail
cd "$(dirname "$0")/.."
device=cuda wheels=.whl out=${OUT:-gpu_check} only= seconds=350
while [ $# -gt 0 ]; do
  case $1 in
    --device) device=$2 ;;
    --wheels) wheels=$2 ;;
    --out) out=$2 ;;
    --only) only=$2 ;;
    --seconds) seconds=$2 ;;
    *)
      echo "gpu_check: $1 is not known: --device cuda|cpu, --wheels folder, --out folder, --only steps, --seconds n" >&2
      exit 2
      ;;
  esac
  shift 2
done
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
failed=0

# step NAME SECONDS COMMAND...: its output goes to the log, a line about it to the terminal and the summary.
step() {
  local name=$1 limit=$2 begun=$SECONDS left=$((seconds - SECONDS))
  shift 2
  case " ${only:-$name} install clip dataset " in *" $name "*) ;; *) return ;; esac
  if [ $left -lt 5 ]; then
    printf '%-12s skipped: %d s are over\n' "$name" "$seconds" | tee -a "$out/summary.txt"
    return
  fi
  [ "$limit" -le $left ] || limit=$left
  printf '\n===== %s: %s\n' "$name" "$*" >>"$out/log.txt"
  timeout --kill-after=5 "$limit" "$@" >>"$out/log.txt" 2>&1
  local status=$?
  [ $status -eq 0 ] || failed=$((failed + 1))
  printf '%-12s exit %3d  %4d s of %d\n' "$name" $status $((SECONDS - begun)) "$limit" | tee -a "$out/summary.txt"
}

: >"$out/log.txt"
: >"$out/summary.txt"

if [ -d "$wheels" ]; then
  step install 90 "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --upgrade \
    --target "$work/site" "$wheels"/*.whl
  cp "$wheels"/dslnet.so "$work/site/vapoursynth/plugins/"
  export PYTHONPATH=$PWD:$work/site PATH=$work/site/bin:$PATH
else
  export PYTHONPATH=$PWD
fi

if [ "$device" = cuda ]; then
  tests="plugin_tests/gpu" sizes=480x270,960x540,1920x1080,3840x2160 rate_seconds=1.5 train_steps=12 hd=1920x1080
  clip_width=960 clip_height=540
  step machine 20 bash -c 'nvidia-smi; "$0" -m pip list 2>/dev/null | grep -iE "torch|triton|onnx|vapour|numpy"' "$python"
else
  tests="plugin_tests/inference/cuda/test_backend.py plugin_tests/gpu" sizes=32x24,48x32 rate_seconds=0.1 train_steps=2
  hd=48x32 clip_width=160 clip_height=90
  step machine 20 "$python" -m pip --version
fi
step clip 30 "$python" -c 'import sys; from pathlib import Path; from vsdslnet.tools.demo import write_sdr_clip
write_sdr_clip(Path(sys.argv[1]), width=int(sys.argv[2]), height=int(sys.argv[3]), frames=12)' \
  "$work/clip.mkv" $clip_width $clip_height
clip=()
[ -s "$work/clip.mkv" ] && clip=(--clip "$work/clip.mkv")

step tests 110 "$python" -m pytest -q -rA -p no:cacheprovider $tests
benchmark=("$python" scripts/benchmark_cuda.py --device "$device" --seconds "$rate_seconds" --out "$out" "${clip[@]}")
# fp32 decides nothing and waits for the CPU; what most people use comes first.
step fp16 80 "${benchmark[@]}" --only backends --models dslnet --precisions fp16 --sizes "$sizes"
step fast 60 "${benchmark[@]}" --only backends --models dslnet-fast --precisions fp16 --sizes "$sizes"
step vspipe 70 "${benchmark[@]}" --only pipeline --models dslnet --precisions fp16 --sizes "$hd"
step profile 40 "${benchmark[@]}" --only profile --models dslnet,dslnet-fast --precisions fp16 --sizes "$hd"
step dataset 20 "$python" -c 'import sys; from pathlib import Path
from plugin_tests.training.dataset.small_datasets import write_dataset
write_dataset(Path(sys.argv[1]), windows=24)' "$work/dataset"
step train 50 "$python" scripts/train.py --device "$device" --dataset "$work/dataset" --run "$work/run" --start dslnet \
  --steps "$train_steps"
[ -f "$work/run/log.jsonl" ] && cp "$work/run/log.jsonl" "$out/train.jsonl"
step bf16 50 "${benchmark[@]}" --only backends --models dslnet --precisions bf16 --sizes "$sizes"
step onnx 45 "$python" -m plugin_tests.benchmarks.onnx_runtime --device "$device" --size "$([ "$device" = cuda ] && echo 480x270 || echo 32x32)"
step compile 60 "${benchmark[@]}" --only compile --models dslnet --precisions fp16 --sizes "$hd"

cat "$out/summary.txt" >>"$out/log.txt"
grep -E '^\| (dslnet|model)|through vspipe|warmed up|: (eager|torch.compile)|codes of 10 bits' "$out/log.txt"
echo "$SECONDS s in all, $failed steps failed; see $out/log.txt"
[ $failed -eq 0 ]

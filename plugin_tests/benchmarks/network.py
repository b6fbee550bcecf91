"""Measure the backends on this machine, all in one run, and print a table (Markdown).

    python scripts/benchmark.py                                # 480x270, 960x540, 1920x1080
    python scripts/benchmark.py --large --clip film.mkv        # 2160p as well, real frames, the pipeline, LUTs
    python scripts/benchmark.py --huge --clip film.mkv         # 4320p on top: an hour on two cores
    python scripts/benchmark.py --naive 1920x1080 --naive-threads 1   # the naive network at 1080p, to its end
    python scripts/benchmark.py --judge --clip film.mkv        # are bf16 and fp16 good enough? note it in the weights

Times are the best of --repeat frames (one from 1080p on), after some rows of that width: a film's frames find
memory that the frame before had. Each line is measured in a process of its own, so that its memory (peak
resident size above what it was before the first frame) is its own. "Share" is 1.40 MFLOP a pixel over the
time, against the gemm peak of the same precision. "x naive" is against the plain network, eager, NCHW, fp32,
at the same size, or the largest it was run at (--naive; at 1080p it had not ended after eight minutes). PyTorch's
own depthwise convolution can be slower on more threads (6 times on two, seen at 960x540): --naive-threads.
Errors are against the plain fp32 network on the smallest size. Last comes every bound.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from plugin_tests.benchmarks.bounds import FLOP_PER_PIXEL, Measured, bound_lines
from plugin_tests.benchmarks.frames import sizes_of
from plugin_tests.benchmarks.judge import judge
from plugin_tests.benchmarks.lut import lut_part
from plugin_tests.benchmarks.one import in_own_process
from plugin_tests.benchmarks.pipeline import pipeline_part

SIZES = [(480, 270), (960, 540), (1920, 1080)]
LARGE = [(3840, 2160)]
HUGE = [(7680, 4320)]
PARTS = ("naive", "backends", "pipeline", "lut")
BACKENDS = [("torch", "fp32"), ("torch", "bf16")]


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="dslnet", help="a model's name or a .safetensors file")
    parser.add_argument("--clip", type=Path, help="a BT.709 video to take frames from; else random frames")
    parser.add_argument("--large", action="store_true", help="measure 3840x2160 too")
    parser.add_argument("--huge", action="store_true", help="measure 3840x2160 and 7680x4320 too")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run, of " + ",".join(PARTS))
    parser.add_argument("--sizes", help="other sizes, as 480x270,1280x720")
    parser.add_argument("--backends", help="some of them, as torch-fp32,torch-bf16")
    parser.add_argument("--naive", default="480x270", help="sizes to run the naive network at, as 480x270,1920x1080")
    parser.add_argument("--naive-threads", type=int, help="threads of the naive network, default PyTorch's")
    parser.add_argument("--repeat", type=int, default=2, help="frames a time is the best of")
    parser.add_argument(
        "--judge", nargs="?", const="bf16,fp16", help="note in the weights file whether these precisions are good"
    )
    arguments = parser.parse_args()
    if arguments.judge:
        judge(arguments)
    else:
        table(arguments)


def table(arguments: argparse.Namespace) -> None:
    """Print the whole table, then what concerns the pipeline and LUTs, then every bound."""
    parts = arguments.only.split(",")
    if set(parts) - set(PARTS):
        raise SystemExit(f"--only takes some of {','.join(PARTS)}")
    peaks = {"fp32": gemm_flops(torch.float32), "bf16": gemm_flops(torch.bfloat16)}
    print(f"gemm peak: fp32 {peaks['fp32'] / 1e9:.0f}, bf16 {peaks['bf16'] / 1e9:.0f} GFLOP/s,", end=" ")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| backend | size | s a frame | ns a pixel | share of gemm | x naive | MiB | max codes | dE_ITP |")
    print("|---|---|---|---|---|---|---|---|---|")
    naive = naive_rows(arguments, peaks) if "naive" in parts else {}
    backends = backend_rows(arguments, peaks, naive) if "backends" in parts else {}
    pipeline: dict[str, float] = {}
    if arguments.clip and "pipeline" in parts:
        pipeline |= pipeline_part(arguments)
    if arguments.clip and "lut" in parts:
        pipeline |= lut_part(arguments)
    print("", *bound_lines(peaks, naive, backends, pipeline), sep="\n")


def naive_rows(arguments: argparse.Namespace, peaks: dict[str, float]) -> dict[tuple[int, int], Measured]:
    """Measure and print the plain network at every size asked for."""
    measured = {}
    for width, height in sizes_of(arguments.naive):
        one = in_own_process(
            arguments, backend="naive", precision="fp32", size=(width, height), threads=arguments.naive_threads
        )
        measured[width, height] = Measured(one["seconds"], one["mib"])
        per_pixel = one["seconds"] / (width * height)
        print(
            f"| naive eager fp32 | {width}x{height} | {one['seconds']:.2f} | {per_pixel * 1e9:.0f} |"
            f" {FLOP_PER_PIXEL / per_pixel / peaks['fp32']:.0%} | 1 | {one['mib']:.0f} | | |",
            flush=True,
        )
    return measured


def backend_rows(
    arguments: argparse.Namespace, peaks: dict[str, float], naive: dict[tuple[int, int], Measured]
) -> dict[tuple[str, tuple[int, int]], Measured]:
    """Measure and print every backend at every size."""
    more = LARGE + HUGE if arguments.huge else LARGE if arguments.large else []
    sizes = sizes_of(arguments.sizes) if arguments.sizes else SIZES + more
    backends = BACKENDS
    if arguments.backends:
        backends = [(name.split("-")[0], name.split("-")[1]) for name in arguments.backends.split(",")]
    measured = {}
    for backend, precision in backends:
        for size in sizes:
            one = in_own_process(arguments, backend=backend, precision=precision, size=size, error=size == sizes[0])
            name = f"| {backend} {precision} | {size[0]}x{size[1]} |"
            if "failed" in one:
                print(f"{name} {one['failed']} | | | | | | |", flush=True)
                break
            measured[f"{backend} {precision}", size] = Measured(one["seconds"], one["mib"])
            per_pixel = one["seconds"] / (size[0] * size[1])
            error = f"{one['codes']:.2f} | {one['de_itp']:.3f}" if "codes" in one else " | "
            print(
                f"{name} {one['seconds']:.2f} | {per_pixel * 1e9:.0f} |"
                f" {FLOP_PER_PIXEL / per_pixel / peaks[precision]:.0%} | {times_naive(naive, size, per_pixel)} |"
                f" {one['mib']:.0f} | {error} |",
                flush=True,
            )
    return measured


def times_naive(naive: dict[tuple[int, int], Measured], size: tuple[int, int], per_pixel: float) -> str:
    """How many times as fast as the naive network; in brackets if that ran at another size only."""
    if not naive:
        return ""
    width, height = size if size in naive else max(naive)
    times = naive[width, height].seconds / (width * height) / per_pixel
    return f"{times:.1f}" if size in naive else f"({times:.1f})"


def gemm_flops(dtype: torch.dtype, side: int = 2048, repeats: int = 5) -> float:
    """The best rate of a square matrix product, in FLOP/s."""
    a = torch.rand(side, side).to(dtype)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


if __name__ == "__main__":
    main()

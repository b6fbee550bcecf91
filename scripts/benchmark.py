"""Measure the engines on this machine, all in one run, and print a table (Markdown).

    python scripts/benchmark.py                                # 480x270, 960x540, 1920x1080
    python scripts/benchmark.py --large --clip film.mkv        # 2160p as well, real frames, the pipeline, LUTs
    python scripts/benchmark.py --huge --clip film.mkv         # 4320p on top: an hour on two cores
    python scripts/benchmark.py --naive 1920x1080 --naive-threads 1   # the naive network at 1080p, to its end
    python scripts/benchmark.py --judge --clip film.mkv        # is bf16 good enough? note it in the weights

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
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from benchmark_bounds import FLOP_PER_PIXEL, Measured, bound_lines
from benchmark_pipeline import Pipeline, seconds_a_frame
from torch import Tensor

from vsdslnet import weights
from vsdslnet.color.ictcp import delta_e_itp
from vsdslnet.color.sdr_to_hdr import BASE_PEAK_NITS
from vsdslnet.color.transfer import pq_scalar, pq_to_nits
from vsdslnet.errors import DslnetError
from vsdslnet.inference.backends import create_engine
from vsdslnet.inference.lut.distil import distil
from vsdslnet.inference.lut.key_size import small_size
from vsdslnet.inference.precision import JUDGED_KEYS
from vsdslnet.options import BackendOptions, ConvertOptions

SIZES = [(480, 270), (960, 540), (1920, 1080)]
LARGE = [(3840, 2160)]
HUGE = [(7680, 4320)]
PARTS = ("naive", "engines", "pipeline", "lut")
PLACES = (0.25, 0.5, 0.75)
"""Where in a clip frames are judged."""
ENGINES = [("torch", "fp32"), ("torch", "bf16")]
PIPELINE_SIZE = (960, 540)
PIPELINE_FRAMES = 6
LUT_FRAMES = 40
LUT_ERROR_SIZE = (960, 540)
WARM_UP_ROWS = 160
"""Rows after which every layer has strips in memory."""
CODES_10_BIT = 876.0
"""Codes from black to white in 10-bit limited range."""
MAX_MEAN_DE_ITP = 0.1
MAX_CODES = 4.0


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="dslnet", help="a model's name or a .safetensors file")
    parser.add_argument("--clip", type=Path, help="a BT.709 video to take frames from; else random frames")
    parser.add_argument("--large", action="store_true", help="measure 3840x2160 too")
    parser.add_argument("--huge", action="store_true", help="measure 3840x2160 and 7680x4320 too")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run, of " + ",".join(PARTS))
    parser.add_argument("--sizes", help="other sizes, as 480x270,1280x720")
    parser.add_argument("--engines", help="some of them, as torch-fp32,torch-bf16")
    parser.add_argument("--naive", default="480x270", help="sizes to run the naive network at, as 480x270,1920x1080")
    parser.add_argument("--naive-threads", type=int, help="threads of the naive network, default PyTorch's")
    parser.add_argument("--repeat", type=int, default=2, help="frames a time is the best of")
    parser.add_argument("--judge", action="store_true", help="note in the weights file whether bf16 is good")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments, **json.loads(arguments.one))))
    elif arguments.judge:
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
    print("| engine | size | s a frame | ns a pixel | share of gemm | x naive | MiB | max codes | dE_ITP |")
    print("|---|---|---|---|---|---|---|---|---|")
    naive = naive_rows(arguments, peaks) if "naive" in parts else {}
    engines = engine_rows(arguments, peaks, naive) if "engines" in parts else {}
    pipeline: dict[str, float] = {}
    if arguments.clip and "pipeline" in parts:
        pipeline |= pipeline_part(arguments)
    if arguments.clip and "lut" in parts:
        pipeline |= lut_part(arguments)
    print("", *bound_lines(peaks, naive, engines, pipeline), sep="\n")


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


def engine_rows(
    arguments: argparse.Namespace, peaks: dict[str, float], naive: dict[tuple[int, int], Measured]
) -> dict[tuple[str, tuple[int, int]], Measured]:
    """Measure and print every engine at every size."""
    more = LARGE + HUGE if arguments.huge else LARGE if arguments.large else []
    sizes = sizes_of(arguments.sizes) if arguments.sizes else SIZES + more
    engines = ENGINES
    if arguments.engines:
        engines = [(name.split("-")[0], name.split("-")[1]) for name in arguments.engines.split(",")]
    measured = {}
    for backend, precision in engines:
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


def pipeline_part(arguments: argparse.Namespace) -> dict[str, float]:
    """Frames a second through vspipe against the engine alone, and with two streams; all are means."""
    pipeline = Pipeline(arguments.clip, PIPELINE_SIZE, arguments.model, precision="bf16", backend="torch")
    what = {"backend": "torch", "precision": "bf16", "size": PIPELINE_SIZE, "repeat": PIPELINE_FRAMES}
    # Before and behind: machines drift by more than what is measured here.
    before = in_own_process(arguments, **what)["mean_seconds"]
    one = seconds_a_frame(pipeline, frames=PIPELINE_FRAMES)
    alone = (before + in_own_process(arguments, **what)["mean_seconds"]) / 2
    two = seconds_a_frame(pipeline._replace(streams=2), frames=PIPELINE_FRAMES, warm_up=2)
    # A frame on all threads leaves none for a second one; on a thread each, two frames have to go side by side.
    single = pipeline._replace(threads=1)
    one_single, two_single = (
        seconds_a_frame(single._replace(streams=streams), frames=PIPELINE_FRAMES, warm_up=2) for streams in (1, 2)
    )
    print(f"\ntorch bf16, {PIPELINE_SIZE[0]}x{PIPELINE_SIZE[1]}: engine alone {1 / alone:.3f} fps,", end=" ")
    print(f"vspipe {1 / one:.3f} ({alone / one:.0%}), with num_streams=2 {1 / two:.3f} ({one / two:.2f}x);", end=" ")
    print(f"on one thread a frame {1 / one_single:.3f}, with num_streams=2 {1 / two_single:.3f}", flush=True)
    return {"vspipe": alone / one, "two_streams": one / two, "two_streams_of_a_thread": one_single / two_single}


def lut_part(arguments: argparse.Namespace) -> dict[str, float]:
    """LUTs: frames a second through vspipe, seconds for one, and their distance to the full model."""
    fps = {}
    for size in SIZES[-1:] + LARGE:
        lut = Pipeline(arguments.clip, size, f"{arguments.model}-lut")
        # From one key frame to the next no LUT is made: the first two frames made both.
        fps[size] = 1 / seconds_a_frame(lut, frames=LUT_FRAMES, warm_up=2)
        print(f"{lut.model}, {size[0]}x{size[1]}: {fps[size]:.1f} fps through vspipe", flush=True)
    seconds, errors = lut_quality(arguments)
    at = f"{LUT_ERROR_SIZE[0]}x{LUT_ERROR_SIZE[1]}"
    print(f"a LUT takes {seconds:.2f} s; mean dE_ITP to the full model at {at}:", *(f"{each:.2f}" for each in errors))
    return {"lut_fps": fps[SIZES[-1]], "lut_seconds": seconds, "lut_de_itp": max(errors)}


def lut_quality(arguments: argparse.Namespace) -> tuple[float, list[float]]:
    """Seconds for a LUT (of a small window, whatever the clip's size), and each place's distance to the full model."""
    settings = ConvertOptions(model=arguments.model)
    engine = create_engine(settings.part(BackendOptions))
    small_width, small_height = small_size(*LUT_ERROR_SIZE)
    seconds, errors = [], []
    for place in PLACES:
        window = frames(arguments.clip, engine.radius_frames * 2 + 1, *LUT_ERROR_SIZE, place)
        small = torch.nn.functional.interpolate(window, size=(small_height, small_width), mode="area")
        start = time.perf_counter()
        lattice = distil(small, settings)
        seconds.append(time.perf_counter() - start)
        grid = 2 * window[engine.radius_frames].permute(1, 2, 0)[None, None] - 1
        pq = torch.nn.functional.grid_sample(lattice[None], grid, align_corners=True)[0, :, 0]
        errors.append(de_itp(pq, engine(window).clamp(0, pq_scalar(BASE_PEAK_NITS))))
    # The first one compiles kernels as well.
    return statistics.median(seconds), errors


def sizes_of(text: str) -> list[tuple[int, int]]:
    """``480x270,960x540`` -> [(480, 270), (960, 540)]."""
    return [(int(width), int(height)) for width, height in (size.split("x") for size in text.split(","))]


def judge(arguments: argparse.Namespace) -> None:
    """Compare bf16 with plain fp32 and write the verdict into the weights file."""
    if arguments.clip is None:
        raise SystemExit("--judge needs real frames: give --clip")
    results = [
        measure(arguments, backend="torch", precision="bf16", size=[960, 540], error=True, repeat=1, place=place)
        for place in PLACES
    ]
    codes, worst = (max(float(str(result[key])) for result in results) for key in ("codes", "de_itp"))
    good = worst <= MAX_MEAN_DE_ITP and codes <= MAX_CODES
    file = weights.read(weights.find(arguments.model))
    notes = file.metadata | {JUDGED_KEYS["bf16"]: "true" if good else "false"}
    weights.save(weights.load_network(file), file.path, notes=notes)
    print(f"bf16: at most {codes:.2f} codes of 10 bits, mean dE_ITP at most {worst:.3f}:", end=" ")
    print("good, noted" if good else f"not within {MAX_CODES:g} and {MAX_MEAN_DE_ITP}, noted")


def in_own_process(arguments: argparse.Namespace, **what: object) -> dict[str, float]:
    """:func:`measure` in a fresh interpreter."""
    command = [sys.executable, __file__, "--model", arguments.model, "--repeat", str(arguments.repeat)]
    if arguments.clip:
        command += ["--clip", str(arguments.clip)]
    done = subprocess.run([*command, "--one", json.dumps(what)], stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(
    arguments: argparse.Namespace,
    *,
    backend: str,
    precision: str,
    size: Sequence[int],
    error: bool = False,
    repeat: int | None = None,
    place: float = 0.5,
    threads: int | None = None,
) -> dict[str, object]:
    """Time, memory and, with ``error``, distance to the plain network of one engine at one size."""
    if threads is not None:
        torch.set_num_threads(threads)
    file = weights.read(weights.find(arguments.model))
    network = weights.load_network(file)
    width, height = size
    try:
        if backend == "naive":
            render = plain(network)
        else:
            settings = BackendOptions(model=arguments.model, backend=backend, precision=precision, device="cpu")
            render = create_engine(settings)
    except DslnetError as problem:
        return {"failed": str(problem)}
    window = frames(arguments.clip, file.config.frames, width, height, place)
    render(window[..., :64, :64].contiguous())
    if repeat is None:
        repeat = arguments.repeat if width * height < 1920 * 1080 else 1
    before = base_bytes()
    if backend != "naive":
        # A film's frames find memory that the frame before had; the first one waits for the system to find it.
        render(window[..., :WARM_UP_ROWS, :].contiguous())
    seconds = []
    for left in reversed(range(repeat)):
        # Engines move neighbours in place: the last one leaves the frames as the network saw them.
        own = window.clone() if left else window
        start = time.perf_counter()
        pq = render(own)
        seconds.append(time.perf_counter() - start)
    result: dict[str, object] = {
        "seconds": min(seconds),
        "mean_seconds": statistics.mean(seconds),
        "mib": (peak_bytes() - before) / 2**20,
    }
    if error:
        network = network.to(memory_format=torch.channels_last)
        expected = plain(network)(window)
        result["codes"] = float((pq - expected).abs().max()) * CODES_10_BIT
        result["de_itp"] = de_itp(pq, expected)
    return result


def de_itp(pq: Tensor, expected: Tensor) -> float:
    """Mean dE_ITP between two PQ pictures."""
    lights = (pq_to_nits(each.clamp(0, 1)) for each in (pq, expected))
    return float(delta_e_itp(*lights).mean())


def plain(network: torch.nn.Module):  # type: ignore[no-untyped-def]
    """The network as it is, called like an engine."""

    @torch.inference_mode()
    def render(window: Tensor) -> Tensor:
        pq: Tensor = network(window[None])[0]
        return pq

    return render


def frames(clip: Path | None, count: int, width: int, height: int, place: float = 0.5) -> Tensor:
    """Consecutive SDR frames (count, 3, H, W): a clip's, from ``place`` (0..1) on, or random ones."""
    if clip is None:
        torch.manual_seed(0)
        coarse = torch.rand(count, 3, height // 8 + 1, width // 8 + 1)
        return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    import av
    from av.video.reformatter import Colorspace

    window = torch.empty(count, 3, height, width)
    taken = 0
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        first = (container.start_time or 0) + int((container.duration or 0) * place)
        container.seek(first)
        for frame in container.decode(stream):
            # A seek ends at the key frame before.
            if frame.time is not None and frame.time * 1e6 < first:
                continue
            rgb = frame.reformat(width, height, "rgb24", src_colorspace=Colorspace.ITU709).to_ndarray()
            window[taken] = torch.from_numpy(rgb).permute(2, 0, 1)
            taken += 1
            if taken == count:
                return window.div_(255)
    raise SystemExit(f"{clip}: has fewer than {count} frames behind {place:.0%} of it")


def gemm_flops(dtype: torch.dtype, side: int = 2048, repeats: int = 5) -> float:
    """The best rate of a square matrix product, in FLOP/s."""
    a = torch.rand(side, side).to(dtype)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def base_bytes() -> int:
    """Resident size of this process now; where the system can, its peak starts again from here."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak_bytes()
    return status_bytes("VmRSS")


def peak_bytes() -> int:
    """Peak resident size of this process."""
    if sys.platform.startswith("linux"):
        return status_bytes("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def status_bytes(name: str) -> int:
    """A size from Linux's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()

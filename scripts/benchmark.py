"""Measure the engines on this machine, all in one run, and print a table (Markdown).

    python scripts/benchmark.py                                # 480x270, 960x540, 1920x1080
    python scripts/benchmark.py --large --clip film.mkv        # 2160p as well, real frames, the pipeline, LUTs
    python scripts/benchmark.py --judge --clip film.mkv        # is bf16 good enough? note it in the weights

Times are the best of --repeat frames (one from 1080p on). Each line is measured in a process of its own, so
that its memory (peak resident size above what it was before the first frame) is its own. "Share" is 1.40
MFLOP a pixel over the time, against the gemm peak of the same precision. "x naive" is against the plain
network, eager, NCHW, fp32, at the largest size it was run at (--naive). Errors are against the plain fp32
network on the smallest size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from benchmark_pipeline import Pipeline, seconds_a_frame
from torch import Tensor

from vsdslnet import weights
from vsdslnet.color.ictcp import delta_e_itp
from vsdslnet.color.sdr_to_hdr import BASE_PEAK_NITS
from vsdslnet.color.transfer import pq_scalar, pq_to_nits
from vsdslnet.errors import DslnetError
from vsdslnet.inference.distil import distil
from vsdslnet.inference.engines import create_engine
from vsdslnet.inference.precision import JUDGED_KEYS
from vsdslnet.inference.settings import ConvertSettings, EngineSettings
from vsdslnet.inference.small import small_size

FLOP_PER_PIXEL = 2 * 701.6e3
SIZES = [(480, 270), (960, 540), (1920, 1080)]
LARGE = [(3840, 2160)]
ENGINES = [("torch", "fp32"), ("torch", "bf16"), ("openvino", "fp32"), ("openvino", "bf16")]
PIPELINE_SIZE = (960, 540)
PIPELINE_FRAMES = 6
LUT_FRAMES = 40
LUT_ERROR_SIZE = (960, 540)
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
    parser.add_argument("--sizes", help="other sizes, as 480x270,1280x720")
    parser.add_argument("--engines", help="some of them, as torch-fp32,torch-bf16")
    parser.add_argument("--naive", default="480x270", help="sizes to run the naive network at, as 480x270,1920x1080")
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
    """Print the whole table, then what concerns the pipeline."""
    peaks = {"fp32": gemm_flops(torch.float32), "bf16": gemm_flops(torch.bfloat16)}
    print(f"gemm peak: fp32 {peaks['fp32'] / 1e9:.0f}, bf16 {peaks['bf16'] / 1e9:.0f} GFLOP/s,", end=" ")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    sizes = sizes_of(arguments.sizes) if arguments.sizes else SIZES + (LARGE if arguments.large else [])
    small = sizes[0]
    print("| engine | size | s a frame | ns a pixel | share of gemm | x naive | MiB | max codes | dE_ITP |")
    print("|---|---|---|---|---|---|---|---|---|")
    naive_per_pixel = 0.0
    for width, height in sizes_of(arguments.naive):
        naive = in_own_process(arguments, backend="naive", precision="fp32", size=(width, height))
        naive_per_pixel = naive["seconds"] / (width * height)
        print(
            f"| naive eager fp32 | {width}x{height} | {naive['seconds']:.2f} | {naive_per_pixel * 1e9:.0f} |"
            f" {FLOP_PER_PIXEL / naive_per_pixel / peaks['fp32']:.0%} | 1 | {naive['mib']:.0f} | | |",
            flush=True,
        )
    engines = ENGINES
    if arguments.engines:
        engines = [(name.split("-")[0], name.split("-")[1]) for name in arguments.engines.split(",")]
    for backend, precision in engines:
        for size in sizes:
            one = in_own_process(arguments, backend=backend, precision=precision, size=size, error=size == small)
            name = f"| {backend} {precision} | {size[0]}x{size[1]} |"
            if "failed" in one:
                print(f"{name} {one['failed']} | | | | | | |", flush=True)
                break
            per_pixel = one["seconds"] / (size[0] * size[1])
            error = f"{one['codes']:.2f} | {one['de_itp']:.3f}" if "codes" in one else " | "
            print(
                f"{name} {one['seconds']:.2f} | {per_pixel * 1e9:.0f} |"
                f" {FLOP_PER_PIXEL / per_pixel / peaks[precision]:.0%} | {naive_per_pixel / per_pixel:.1f} |"
                f" {one['mib']:.0f} | {error} |",
                flush=True,
            )
    if arguments.clip:
        pipeline_table(arguments)


def pipeline_table(arguments: argparse.Namespace) -> None:
    """Frames a second through vspipe against the engine alone, with two streams, and as LUTs."""
    pipeline = Pipeline(arguments.clip, PIPELINE_SIZE, arguments.model, precision="bf16", backend="torch")
    alone = in_own_process(arguments, backend="torch", precision="bf16", size=PIPELINE_SIZE)["seconds"]
    one = seconds_a_frame(pipeline, frames=PIPELINE_FRAMES)
    two = seconds_a_frame(pipeline._replace(streams=2), frames=PIPELINE_FRAMES)
    print(f"\ntorch bf16, {PIPELINE_SIZE[0]}x{PIPELINE_SIZE[1]}: engine alone {1 / alone:.3f} fps,", end=" ")
    print(f"vspipe {1 / one:.3f} ({alone / one:.0%}), with num_streams=2 {1 / two:.3f} ({one / two:.2f}x)", flush=True)
    for size in SIZES[-1:] + LARGE:
        lut = Pipeline(arguments.clip, size, f"{arguments.model}-lut")
        # From one key frame to the next no LUT is made: the first two frames made both.
        each = seconds_a_frame(lut, frames=LUT_FRAMES, warm_up=2)
        print(f"{lut.model}, {size[0]}x{size[1]}: {1 / each:.1f} fps through vspipe", flush=True)
    print(lut_quality(arguments))


def lut_quality(arguments: argparse.Namespace) -> str:
    """Seconds for a LUT of a 1080p window, and its distance to the full model at the smallest size."""
    settings = ConvertSettings(model=arguments.model)
    engine = create_engine(settings.engine)
    window = frames(arguments.clip, engine.radius_frames * 2 + 1, *LUT_ERROR_SIZE)
    width, height = small_size(*LUT_ERROR_SIZE)
    small = torch.nn.functional.interpolate(window, size=(height, width), mode="area")
    distil(small, settings)
    start = time.perf_counter()
    lattice = distil(small, settings)
    seconds = time.perf_counter() - start
    grid = 2 * window[engine.radius_frames].permute(1, 2, 0)[None, None] - 1
    pq = torch.nn.functional.grid_sample(lattice[None], grid, align_corners=True)[0, :, 0]
    error = de_itp(pq, engine(window).clamp(0, pq_scalar(BASE_PEAK_NITS)))
    size = f"{LUT_ERROR_SIZE[0]}x{LUT_ERROR_SIZE[1]}"
    return f"a LUT takes {seconds:.2f} s; mean dE_ITP to the full model at {size} {error:.2f}"


def sizes_of(text: str) -> list[tuple[int, int]]:
    """``480x270,960x540`` -> [(480, 270), (960, 540)]."""
    return [(int(width), int(height)) for width, height in (size.split("x") for size in text.split(","))]


def judge(arguments: argparse.Namespace) -> None:
    """Compare bf16 with plain fp32 and write the verdict into the weights file."""
    if arguments.clip is None:
        raise SystemExit("--judge needs real frames: give --clip")
    result = measure(arguments, backend="torch", precision="bf16", size=[960, 540], error=True)
    good = result["de_itp"] <= MAX_MEAN_DE_ITP and result["codes"] <= MAX_CODES
    file = weights.read(weights.find(arguments.model))
    notes = file.metadata | {JUDGED_KEYS["bf16"]: "true" if good else "false"}
    weights.save(weights.load_network(file), file.path, notes=notes)
    print(f"bf16: at most {result['codes']:.2f} codes of 10 bits, mean dE_ITP {result['de_itp']:.3f}:", end=" ")
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
    arguments: argparse.Namespace, *, backend: str, precision: str, size: Sequence[int], error: bool = False
) -> dict[str, object]:
    """Time, memory and, with ``error``, distance to the plain network of one engine at one size."""
    file = weights.read(weights.find(arguments.model))
    network = weights.load_network(file)
    width, height = size
    try:
        if backend == "naive":
            render = plain(network)
        else:
            settings = EngineSettings(model=arguments.model, backend=backend, precision=precision, device="cpu")
            render = create_engine(settings)
    except DslnetError as problem:
        return {"failed": str(problem)}
    window = frames(arguments.clip, file.config.frames, width, height)
    render(window[..., :64, :64].contiguous())
    before = peak_bytes()
    seconds = []
    for _ in range(arguments.repeat if width * height < 1920 * 1080 else 1):
        start = time.perf_counter()
        pq = render(window)
        seconds.append(time.perf_counter() - start)
    result: dict[str, object] = {"seconds": min(seconds), "mib": (peak_bytes() - before) / 2**20}
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


def frames(clip: Path | None, count: int, width: int, height: int) -> Tensor:
    """Consecutive SDR frames (count, 3, H, W): a clip's, from its middle, or random ones."""
    if clip is None:
        torch.manual_seed(0)
        coarse = torch.rand(count, 3, height // 8 + 1, width // 8 + 1)
        return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    import av
    from av.video.reformatter import Colorspace

    taken = []
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        container.seek(int((container.duration or 0) // 2))
        for frame in container.decode(stream):
            rgb = frame.reformat(width, height, "rgb24", src_colorspace=Colorspace.ITU709).to_ndarray()
            taken.append(torch.from_numpy(rgb).permute(2, 0, 1).float() / 255)
            if len(taken) == count:
                return torch.stack(taken)
    raise SystemExit(f"{clip}: has fewer than {count} frames behind its middle")


def gemm_flops(dtype: torch.dtype, side: int = 2048, repeats: int = 5) -> float:
    """The best rate of a square matrix product, in FLOP/s."""
    a = torch.rand(side, side).to(dtype)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def peak_bytes() -> int:
    """Peak resident size of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()

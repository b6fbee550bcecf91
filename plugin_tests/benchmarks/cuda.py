"""Measure the CUDA backend on this machine, in one run, and print a table (Markdown).

    python scripts/benchmark_cuda.py --clip film.mkv --out results            # everything, in about four minutes
    python scripts/benchmark_cuda.py --only backends --models dslnet --sizes 1920x1080
    python scripts/benchmark_cuda.py --device cpu --sizes 32x24 --seconds 0.2  # the script itself, without a device

"eager" is the plain network in the same precision by PyTorch's autocast, channels-last, its windows compensated on the
device, a frame there and back each time: what one would write in an afternoon. "backend" is frames a second of windows
in the backend's memory to pictures in plain memory with --callers threads; "latency" that of one caller. "Share" is the
network's multiplications over the time of a frame, against a matrix product of 8192 a side in the same precision.
Memory is what PyTorch holds of the device after the frames; error is against the fp32 backend of the CPU at the first
size, against that of the device at others. Each model and precision has a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from plugin_tests.benchmarks.frames import frames, sizes_of
from plugin_tests.benchmarks.one import CODES_10_BIT, de_itp
from plugin_tests.benchmarks.pipeline import Pipeline, seconds_a_frame
from plugin_tests.inference.cuda.late_device import LateDevice
from vsdslnet import weights
from vsdslnet.errors import DslnetError
from vsdslnet.inference.backend import Backend
from vsdslnet.inference.cpu.backend import CpuBackend
from vsdslnet.inference.cuda.backend import CudaBackend
from vsdslnet.inference.cuda.device import CudaDevice
from vsdslnet.network.dslnet import DSLNet
from vsdslnet.network.motion.compensation import compensated_on_device

SIZES = "480x270,960x540,1920x1080,3840x2160"
PARTS = ("backends", "pipeline", "profile", "compile")
MOST_JUDGED_PIXELS = 1920 * 1080
"""Of larger frames the error is not measured: fp32 takes too long on the device time there is."""
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
HEADER = (
    "| model | precision | size | backend fps | latency ms | eager fps | x eager | share of matmul | MiB |"
    " max codes | dE_ITP | warm-up s |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Run what the arguments ask for; a part that fails says so and the next goes on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--models", default="dslnet,dslnet-fast", help="those that are installed are measured")
    parser.add_argument("--precisions", default="fp16,bf16")
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--clip", type=Path, help="a BT.709 video to take frames from; else random frames")
    parser.add_argument("--callers", type=int, default=3, help="threads that ask for frames")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each rate is measured")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--out", type=Path, help="folder for results.jsonl and the profile")
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "PRECISION"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
    parts = arguments.only.split(",")
    if arguments.one:
        measure(arguments, *arguments.one)
        return
    print(machine(arguments.device), HEADER, sep="\n\n", flush=True)
    for model in arguments.models.split(","):
        for precision in arguments.precisions.split(","):
            if "backends" in parts:
                in_own_process(arguments, model, precision)
    for part, run in {"pipeline": pipeline, "profile": profile, "compile": compiled}.items():
        if part in parts:
            print(f"\n{part}:", flush=True)
            try:
                run(arguments)
            except (DslnetError, RuntimeError, SystemExit) as problem:
                print(f"failed: {first_line(problem)}", flush=True)


def machine(device: str) -> str:
    """The card, its memory, and what runs on it."""
    if device == "cpu":
        return f"no device, torch {torch.__version__}"
    card = torch.cuda.get_device_properties(0)
    return (
        f"{card.name}, {card.total_memory >> 20} MiB, {card.multi_processor_count} multiprocessors,"
        f" torch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    )


def in_own_process(arguments: argparse.Namespace, model: str, precision: str) -> None:
    """:func:`measure` in a fresh interpreter, whose lines pass through."""
    command = [sys.executable, "-m", "plugin_tests.benchmarks.cuda", *sys.argv[1:], "--one", model, precision]
    done = subprocess.run(command, check=False)
    if done.returncode:
        print(f"| {model} | {precision} | ended with {done.returncode} |", flush=True)


def load(model: str) -> DSLNet:
    """An installed model."""
    return weights.load_network(weights.read(weights.find(model)))


def device_of(arguments: argparse.Namespace) -> Any:
    """CUDA, or what the tests have in its place."""
    if arguments.device == "cuda":
        return CudaDevice(0)
    return LateDevice()


def measure(arguments: argparse.Namespace, model: str, precision: str) -> None:
    """A line for each size."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        network = load(model)
    except DslnetError as problem:
        print(f"| {model} | {precision} | not measured: {first_line(problem)} |", flush=True)
        return
    device, dtype = device_of(arguments), DTYPES[precision]
    peak = matmul_flops(device, dtype, 8192 if arguments.device == "cuda" else 256)
    per_pixel = flop_per_pixel(network)
    # The first size is judged by the CPU, later ones by the device.
    exact: Backend = CpuBackend(load(model))
    for width, height in sizes_of(arguments.sizes):
        row: dict[str, Any] = {"model": model, "precision": precision, "size": f"{width}x{height}"}
        try:
            window = frames(arguments.clip, network.config.frames, width, height)
            row |= rates(arguments, network, device, dtype, window)
            row["share"] = per_pixel * width * height * row["fps"] / peak
            picture = row.pop("picture")
            if width * height <= MOST_JUDGED_PIXELS:
                expected = exact(window.clone())
                row["codes"] = float((picture - expected).abs().max()) * CODES_10_BIT
                row["de_itp"] = de_itp(picture, expected)
            row["eager_fps"] = eager_rate(arguments, network, device, dtype, window)
        except (DslnetError, RuntimeError) as problem:
            row["failed"] = first_line(problem)
        print(line_of(row), flush=True)
        if arguments.out:
            with (arguments.out / "results.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
        device.release()
        exact = CudaBackend(network, device, dtype=torch.float32)


def rates(
    arguments: argparse.Namespace, network: DSLNet, device: Any, dtype: torch.dtype, window: Tensor
) -> dict[str, Any]:
    """The backend's frames a second, its latency, warm-up and memory, and a picture of it."""
    on_cuda = arguments.device == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()
    backend = CudaBackend(network, device, dtype=dtype)
    windows = [backend.window_memory(tuple(window.shape)).copy_(window) for _ in range(arguments.callers)]
    window = windows[0]
    started = time.perf_counter()
    picture = backend(window)
    warm_up = time.perf_counter() - started
    seconds, count = [], 0
    until = time.perf_counter() + arguments.seconds / 2
    while time.perf_counter() < until or not seconds:
        started = time.perf_counter()
        backend(window)
        seconds.append(time.perf_counter() - started)
    lock = threading.Lock()
    started = time.perf_counter()

    def ask(mine: Tensor) -> None:
        nonlocal count
        while time.perf_counter() - started < arguments.seconds:
            backend(mine)
            with lock:
                count += 1

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in windows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "fps": count / (time.perf_counter() - started),
        "latency_ms": 1000 * sorted(seconds)[len(seconds) // 2],
        "warm_up_s": warm_up,
        "mib": torch.cuda.memory_reserved() / 2**20 if on_cuda else float("nan"),
        "peak_mib": torch.cuda.max_memory_reserved() / 2**20 if on_cuda else float("nan"),
        "picture": picture,
    }


@torch.inference_mode()
def eager_rate(
    arguments: argparse.Namespace, network: DSLNet, device: Any, dtype: torch.dtype, window: Tensor
) -> float:
    """Frames a second of the plain network, channels-last, under autocast."""
    render = eager(network, device.device, dtype)
    render(window)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < arguments.seconds or not count:
        render(window)
        count += 1
    return count / (time.perf_counter() - started)


def eager(network: DSLNet, device: torch.device, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The plain network, a frame there and back at each call."""
    plain = load_like(network).to(device).to(memory_format=torch.channels_last)

    def render(window: Tensor) -> Tensor:
        there = window.to(device)
        if network.config.motion_compensated:
            there = compensated_on_device(there)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            pq: Tensor = plain(there[None])[0]
        return pq.cpu()

    return render


def load_like(network: DSLNet) -> DSLNet:
    """A copy in fp32 that nobody has changed."""
    copy = DSLNet(network.config)
    copy.load_state_dict(network.state_dict())
    return copy.eval().requires_grad_(False)


@torch.inference_mode()
def matmul_flops(device: Any, dtype: torch.dtype, side: int) -> float:
    """The best rate of a square matrix product, in FLOP/s."""
    a = torch.rand(side, side, device=device.device).to(dtype)
    return 2 * side**3 / max(1e-9, float(device.seconds(lambda: torch.mm(a, a))))


@torch.inference_mode()
def flop_per_pixel(network: DSLNet) -> float:
    """FLOP of the plain network for one pixel of a large frame, as PyTorch counts them."""
    side = 512
    # Matrices of colour are numbers of the processor's, found at their first use: fake tensors have none.
    DSLNet(network.config)(torch.zeros(1, network.config.frames, 3, 16, 16))
    with FakeTensorMode(), FlopCounterMode(display=False) as counter:  # counted, not computed
        DSLNet(network.config)(torch.empty(1, network.config.frames, 3, side, side))
    return counter.get_total_flops() / side**2


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    start = f"| {row['model']} | {row['precision']} | {row['size']} |"
    if "fps" not in row:
        return f"{start} {row['failed']} |"
    slow = row.get("eager_fps")
    against = f"{slow:.2f} | {row['fps'] / slow:.1f}" if slow else f"{row.get('failed', '')} |"
    error = f"{row['codes']:.3f} | {row['de_itp']:.4f}" if "codes" in row else " |"
    return (
        f"{start} {row['fps']:.2f} | {row['latency_ms']:.1f} | {against} | {row['share']:.1%} | {row['mib']:.0f} |"
        f" {error} | {row['warm_up_s']:.1f} |"
    )


def pipeline(arguments: argparse.Namespace) -> None:
    """Frames a second through vspipe, for streams enough to keep the device busy; LUTs as well."""
    if arguments.clip is None:
        print("not measured: give --clip")
        return
    sizes = sizes_of(arguments.sizes)[-2:]
    for model in [*arguments.models.split(","), "dslnet-lut"]:
        for size in sizes:
            for streams in (1, 4) if not model.endswith("-lut") else (1,):
                precision = "auto" if model.endswith("-lut") else arguments.precisions.split(",")[0]
                precision = "auto" if arguments.device == "cpu" else precision
                one = Pipeline(
                    arguments.clip, size, model, precision=precision, device=arguments.device, streams=streams
                )
                few = 60 if arguments.device == "cuda" and size[0] < 3000 else 16
                try:
                    fps = 1 / seconds_a_frame(one, frames=few if arguments.device == "cuda" else 2, warm_up=4)
                except SystemExit as problem:
                    print(f"{model} {size[0]}x{size[1]}: {first_line(problem)}", flush=True)
                    break
                print(f"{model} {size[0]}x{size[1]}, num_streams={streams}: {fps:.2f} fps through vspipe", flush=True)


@torch.inference_mode()
def profile(arguments: argparse.Namespace) -> None:
    """Which kernels a frame's time goes to: a table of the longest for each model, without a graph."""
    precision, (width, height) = arguments.precisions.split(",")[0], sizes_of(arguments.sizes)[-1]
    for model in arguments.models.split(","):
        network, device = load(model), device_of(arguments)
        window = frames(arguments.clip, network.config.frames, width, height)
        with without_graphs(device):
            backend = CudaBackend(network, device, dtype=DTYPES[precision])
            backend(window)
            activities = [torch.profiler.ProfilerActivity.CPU]
            if arguments.device == "cuda":
                activities.append(torch.profiler.ProfilerActivity.CUDA)
            with torch.profiler.profile(activities=activities) as watched:
                backend(window)
        key = "self_device_time_total" if arguments.device == "cuda" else "self_cpu_time_total"
        said = watched.key_averages().table(sort_by=key, row_limit=90, max_name_column_width=80)
        if arguments.out:
            (arguments.out / f"profile_{model}_{height}p.txt").write_text(said)
        print(f"{model}:", said[:2000], sep="\n")
        device.release()


@contextlib.contextmanager
def without_graphs(device: Any) -> Iterator[None]:
    """Lets a device record none: a profile of a graph names no operators."""

    def refuse(*_: object) -> None:
        raise RuntimeError("for the profile")

    before = device.capture
    device.capture = refuse
    yield
    device.capture = before


@torch.inference_mode()
def compiled(arguments: argparse.Namespace) -> None:
    """What torch.compile makes of the plain network, and what its start-up costs."""
    model, precision = arguments.models.split(",")[0], arguments.precisions.split(",")[0]
    network, device = load(model), device_of(arguments)
    window = frames(arguments.clip, network.config.frames, *sizes_of(arguments.sizes)[-2:][0]).to(device.device)
    plain = load_like(network).to(device.device).to(memory_format=torch.channels_last)
    fast = torch.compile(plain)
    for name, run in (("eager", plain), ("torch.compile", fast)):

        def once(run: Callable[[Tensor], Tensor] = run) -> None:
            with torch.autocast(device.device.type, dtype=DTYPES[precision]):
                run(window[None])

        started = time.perf_counter()
        once()
        first = time.perf_counter() - started
        print(f"{model} {precision} {name}: {1000 * device.seconds(once):.1f} ms, first call {first:.1f} s", flush=True)


def first_line(problem: BaseException) -> str:
    """An error in a line."""
    return (str(problem).splitlines() or [type(problem).__name__])[0]


if __name__ == "__main__":
    main()

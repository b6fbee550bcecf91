"""The bounds of speed and memory, each with what a run measured for it; what was not measured is said to be so."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Measured", "bound_lines"]

FLOP_PER_PIXEL = 2 * 701.6e3
FP32_SHARE = 0.223
"""Part of the work that is depthwise, which matrix instructions can't do: in the bf16 floor it has fp32's rate."""
MEMORY_MIB = {(1920, 1080): 1536, (3840, 2160): 3072, (7680, 4320): None}
Size = tuple[int, int]


class Measured(NamedTuple):
    """One backend at one size: seconds a frame, and MiB above the base."""

    seconds: float
    mib: float


def bound_lines(
    peaks: dict[str, float],
    naive: dict[Size, Measured],
    backends: dict[tuple[str, Size], Measured],
    pipeline: dict[str, float],
) -> list[str]:
    """A Markdown table of every bound. ``peaks`` in FLOP/s a precision; ``backends`` by ("torch bf16", size).

    ``pipeline`` may hold "vspipe", "two_streams", "two_streams_of_a_thread", "lut_fps", "lut_seconds" and "lut_de_itp".
    """
    hd, small, uhd = (1920, 1080), (960, 540), (3840, 2160)
    rows: list[tuple[str, float | None, str, bool]] = []

    def row(what: str, value: float | None, limit: float, unit: str = "", *, least: bool = False) -> None:
        met = value is not None and (value >= limit if least else value <= limit)
        rows.append((f"{what} {'>=' if least else '<='} {limit:g}{unit}", value, unit, met))

    def seconds(name: str, size: Size) -> float | None:
        one = backends.get((name, size))
        return None if one is None else one.seconds

    def ratio(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else a / b

    flop = FLOP_PER_PIXEL * hd[0] * hd[1]
    floor = flop * ((1 - FP32_SHARE) / peaks["bf16"] + FP32_SHARE / peaks["fp32"])
    best = min((one.seconds for (_, size), one in backends.items() if size == hd), default=None)
    row(f"1080p, best precision, against the bf16 floor ({floor:.1f} s)", ratio(best, floor), 1.5, " x")
    slow = naive[hd].seconds if hd in naive else None
    row("1080p against naive eager at 1080p", ratio(slow, best), 10, " x", least=True)
    row("1080p torch fp32, share of gemm peak", ratio(flop / peaks["fp32"], seconds("torch fp32", hd)), 0.8, least=True)
    row("vspipe against the backend alone", pipeline.get("vspipe"), 0.95, least=True)
    row("num_streams=2, throughput", pipeline.get("two_streams"), 1.1, " x", least=True)
    row("num_streams=2, one thread a frame", pipeline.get("two_streams_of_a_thread"), 1.1, " x", least=True)
    for name in ("torch fp32", "torch bf16"):
        growth = ratio(seconds(name, uhd), seconds(name, small))
        pixels = uhd[0] * uhd[1] / (small[0] * small[1])
        row(f"{name}, a pixel of 2160p against one of 960x540", ratio(growth, pixels), 1.15, " x")
        for (width, height), limit in MEMORY_MIB.items():
            one = backends.get((name, (width, height)))
            mib = None if one is None else one.mib
            if limit is not None:
                row(f"{name} {width}x{height}, memory", mib, limit, " MiB")
            else:
                rows.append((f"{name} {width}x{height} works, memory", mib, " MiB", mib is not None))
    row("LUTs at 1080p", pipeline.get("lut_fps"), 24, " fps", least=True)
    row("seconds for a LUT", pipeline.get("lut_seconds"), 1.5, " s")
    row("LUT, mean dE_ITP to the full model", pipeline.get("lut_de_itp"), 3)
    lines = ["| bound | measured | |", "|---|---|---|"]
    for what, value, unit, met in rows:
        shown = "not measured | |" if value is None else f"{value:.4g}{unit} | {'met' if met else '**not met**'} |"
        lines.append(f"| {what} | {shown}")
    return lines
